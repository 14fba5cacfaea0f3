"""One key of the ring and what is derived from it. Handles key material.

HKDF labels keep the uses of one secret apart: what wraps cannot index, what seals columns cannot open audio.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.clock import utc_day

KEY_BYTES = 32
INBOX_DAYS = 8  # an event not applied by then is lost, and nothing of it is left
KEY_LIVES = timedelta(minutes=5)  # with the sweep's pruning every five minutes, no copy is older than ten


def derive(secret: bytes, label: str) -> bytes:
    """32 bytes for one use of a secret: HKDF-SHA256 with `label` as info (docs/format.md, "Derived keys")."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=label.encode()).derive(secret)


@dataclass(frozen=True)
class Key:
    """A day key (`day`: the UTC day its recordings expire) or an inbox key (the UTC day received)."""

    id: str
    purpose: str  # day | inbox
    day: date
    material: bytes = field(repr=False)

    @cached_property
    def wrapper(self) -> AESGCM:
        return AESGCM(derive(self.material, "recorder/wrap/v1"))

    @cached_property
    def index_key(self) -> bytes:
        return derive(self.material, "recorder/index/v1")


class KeyCache:
    """Keys lately read from the ring. A day key is not given out past its day. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[str, tuple[Key, datetime]] = {}

    def get(self, key_id: str, now: datetime) -> Key | None:
        with self._lock:
            key, read_at = self._read.get(key_id, (None, now))
            return key if key is not None and _is_fresh(key, read_at, now) else None

    def put(self, key: Key, now: datetime) -> None:
        self.prune(now)
        with self._lock:
            self._read[key.id] = (key, now)

    def drop(self, key_id: str) -> None:
        with self._lock:
            self._read.pop(key_id, None)

    def prune(self, now: datetime) -> None:
        with self._lock:
            self._read = {key.id: (key, at) for key, at in self._read.values() if _is_fresh(key, at, now)}


def _is_fresh(key: Key, read_at: datetime, now: datetime) -> bool:
    # If the clock went back, a key read in what is now the future is not fresh either.
    return timedelta() <= now - read_at < KEY_LIVES and (key.purpose == "inbox" or utc_day(now) <= key.day)
