"""One file per telephony platform: verify a webhook, parse it to events, fetch a recording, delete it at its source."""

from __future__ import annotations

from recorder.platforms.standard import Standard
from recorder.platforms.twilio import Twilio
from recorder.ports import Platform
from recorder.settings import Settings


def from_settings(settings: Settings) -> dict[str, Platform]:
    """Every platform by name. One without secrets is there and lets nothing in."""
    platforms: list[Platform] = [
        Twilio(settings.platforms.twilio, settings.capture),
        Standard(settings.platforms.standard, settings.capture),
    ]
    return {platform.name: platform for platform in platforms}
