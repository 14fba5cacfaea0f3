"""One key of the ring and what is derived from it. Handles key material.

HKDF labels keep the uses of one secret apart: what wraps cannot index, what seals columns cannot open audio.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


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
