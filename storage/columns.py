"""Personal columns: wrapped under a key of the ring, or sealed under a secret that is itself wrapped.

Every blob is bound to its place (table, column, row), so that one copied to another row does not open. The layout is
docs/format.md, "Sealed values". Handles keys and subject identifiers.
"""

from __future__ import annotations

import hmac
import json
import secrets
import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import IntegrityError
from storage.keys import Key, derive

VERSION = b"\x01"
NONCE = 12


def wrap(kek: Key, secret: bytes, *, table: str, column: str, row_id: str) -> bytes:
    """Encrypt a secret (a data key, a call key, an inbox body) under a key of the ring, for one place."""
    return encrypt(kek.wrapper, secret, place("recorder/wrap/v1", table, column, row_id, kek.id))


def unwrap(kek: Key, wrapped: bytes, *, table: str, column: str, row_id: str) -> bytes:
    """Raises `IntegrityError` where key, place or bytes are not the ones it was wrapped with."""
    return decrypt(kek.wrapper, wrapped, place("recorder/wrap/v1", table, column, row_id, kek.id))


def seal(secret: bytes, data: dict[str, Any], *, table: str, row_id: str, column: str = "sealed") -> bytes:
    """Encrypt a row's personal data under its data key or call key."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return encrypt(_column_key(secret), text, place("recorder/column/v1", table, column, row_id))


def open_sealed(secret: bytes, blob: bytes, *, table: str, row_id: str, column: str = "sealed") -> dict[str, Any]:
    """Raises `IntegrityError` where secret, place or bytes are not the ones it was sealed with."""
    text = decrypt(_column_key(secret), blob, place("recorder/column/v1", table, column, row_id))
    data: dict[str, Any] = json.loads(text)
    return data


def mark(kek: Key, kind: str, value: str) -> bytes:
    """A blind-index entry: equal for equal values under one day key, and meaningless once that key is gone."""
    return marks([kek], kind, value)[0]


def marks(keks: Sequence[Key], kind: str, value: str) -> list[bytes]:
    """The same value's entry under each of these day keys."""
    entry = place(kind, value)
    return [hmac.digest(kek.index_key, entry, sha256) for kek in keks]


def encrypt(aead: AESGCM, secret: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    return VERSION + nonce + aead.encrypt(nonce, secret, bound_to)


def decrypt(aead: AESGCM, blob: bytes, bound_to: bytes) -> bytes:
    if blob[:1] != VERSION:
        raise IntegrityError("a sealed value of an unknown version")
    try:
        return aead.decrypt(blob[1 : 1 + NONCE], blob[1 + NONCE :], bound_to)
    except (InvalidTag, ValueError) as exc:
        raise IntegrityError("a sealed value does not belong where it was found") from exc


def _column_key(secret: bytes) -> AESGCM:
    return AESGCM(derive(secret, "recorder/column/v1"))


def place(*names: str) -> bytes:
    """What a blob is bound to: length-prefixed, so that no two places are written alike."""
    encoded = [name.encode() for name in names]
    return b"".join(struct.pack(">H", len(name)) + name for name in encoded)
