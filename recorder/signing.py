"""Signatures of Standard Webhooks by shared secret (`whsec_`, `v1`): what others sign for us, and we for others."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # by the specification


def key_of(secret: str) -> bytes:
    """The key a `whsec_` secret spells. Raises `ValueError`, never repeating it. Handles key material."""
    key = decoded(secret.removeprefix(PREFIX))
    if not secret.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError("whsec_ takes base64 of 24 to 64 bytes")
    return key


def decoded(text: str) -> bytes:
    """Base64 with or without its padding; empty where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def content(message_id: str, seconds: int, body: bytes) -> bytes:
    """What is signed."""
    return b"%s.%d.%s" % (message_id.encode(), seconds, body)


def headers(keys: Sequence[bytes], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message, signed by every key: while a secret is changed, either side may hold the old."""
    seconds = int(now.timestamp())
    signed = (hmac.digest(key, content(message_id, seconds, body), hashlib.sha256) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join("v1," + base64.b64encode(one).decode() for one in signed),
    }
