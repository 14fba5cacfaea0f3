"""Signatures of Standard Webhooks. Others sign for us with a shared secret (`whsec_`, `v1`); we sign for others with
such a secret or with the secret half of a key pair (`whsk_`, `v1a`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX, PAIR_PREFIX = "whsec_", "whsk_"
SEED_BYTES = 32  # an Ed25519 private key (RFC 8032); many keep the public one behind it

Signer = Callable[[bytes], str]
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # by the specification


def key_of(secret: str) -> bytes:
    """The key a `whsec_` secret spells. Raises `ValueError`, never repeating it. Handles key material."""
    key = decoded(secret.removeprefix(PREFIX))
    if not secret.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError("whsec_ takes base64 of 24 to 64 bytes")
    return key


def signer(secret: str) -> Signer:
    """Makes one entry of a signature header. Raises `ValueError`, never repeating the secret. Handles key material."""
    if secret.startswith(PAIR_PREFIX):
        pair = _pair_of(secret)
        return lambda signed: _entry("v1a", pair.sign(signed))
    key = key_of(secret)
    return lambda signed: _entry("v1", hmac.digest(key, signed, hashlib.sha256))


def decoded(text: str) -> bytes:
    """Base64 with or without its padding; empty where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def content(message_id: str, seconds: int, body: bytes) -> bytes:
    """What is signed."""
    return b"%s.%d.%s" % (message_id.encode(), seconds, body)


def headers(signers: Sequence[Signer], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message, signed by all: while a secret is changed, either side may hold the old."""
    seconds = int(now.timestamp())
    signed = content(message_id, seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(sign(signed) for sign in signers),
    }


def _pair_of(secret: str) -> Ed25519PrivateKey:
    key = decoded(secret.removeprefix(PAIR_PREFIX))
    seed, public = key[:SEED_BYTES], key[SEED_BYTES:]
    if len(seed) == SEED_BYTES:
        pair = Ed25519PrivateKey.from_private_bytes(seed)
        if public in (b"", pair.public_key().public_bytes_raw()):
            return pair
    raise ValueError("whsk_ takes base64 of an Ed25519 private key: 32 bytes, or 64 with its public key")


def _entry(version: str, signature: bytes) -> str:
    return f"{version},{base64.b64encode(signature).decode()}"
