"""Capture with every part real: database, key ring, store, ffmpeg, and an exchange that speaks HTTP."""

from __future__ import annotations

from tests.recorder.exchange import environment, exchange

__all__ = ["environment", "exchange"]  # fixtures
