"""Where a long list goes on: a place in it, sealed so that nobody else can make one and it continues this list only."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256

from recorder.errors import CursorError
from recorder.ports import Service
from storage.catalogue.recordings import Position
from storage.clock import EPOCH, MICROSECOND
from storage.columns import place

PAGE, LARGEST_PAGE = 50, 200
SEAL = 16  # bytes of an HMAC


def written(service: Service, asked: str, position: Position | None) -> str | None:
    """The cursor of what stands behind this position in the list that was `asked` for; None at its end."""
    if position is None:
        return None
    moment, some_id = position
    text = f"{(moment - EPOCH) // MICROSECOND}.{some_id}".encode()
    return base64.urlsafe_b64encode(_seal(service, asked, text) + text).decode().rstrip("=")


def read(service: Service, asked: str, cursor: str | None) -> Position | None:
    """The position a cursor names. Raises `CursorError` where it is of another list, or none of ours."""
    if cursor is None:
        return None
    try:
        known = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as exc:
        raise CursorError from exc
    text = known[SEAL:]
    if not hmac.compare_digest(known[:SEAL], _seal(service, asked, text)):
        raise CursorError
    micros, _, some_id = text.decode().partition(".")
    return EPOCH + int(micros) * MICROSECOND, some_id


def _seal(service: Service, asked: str, position: bytes) -> bytes:
    text = place("cursor", asked) + position
    return hmac.digest(service.keyring.service_key("cursor"), text, sha256)[:SEAL]
