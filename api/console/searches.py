"""A search as an address that says nothing: what was typed, sealed for one session under the inbox key of the day.

Numbers and accounts must not stand in addresses, which browsers, proxies and logs keep. After eight days the key is
gone, and an address kept by any of them can be opened by nobody, us included.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from recorder.errors import InvalidInputError
from recorder.ports import Service
from storage.columns import open_sealed, seal
from storage.errors import IntegrityError, KeyDestroyedError, KeyUnavailableError


def sealed(service: Service, fields: dict[str, str], session_id: str, now: datetime) -> str:
    key = service.keyring.inbox_key(now)
    blob = seal(key.material, fields, table="searches", row_id=session_id)
    return f"{_encoded(key.id.encode())}.{_encoded(blob)}"


def opened(service: Service, text: str, session_id: str, now: datetime) -> dict[str, str]:
    """What was typed. Raises `InvalidInputError` for addresses of other sessions, of last week, or made up."""
    try:
        name, blob = (_decoded(part) for part in text.split("."))
        key = service.keyring.key(name.decode(), now)
        return open_sealed(key.material, blob, table="searches", row_id=session_id)
    except (ValueError, binascii.Error, IntegrityError, KeyDestroyedError, KeyUnavailableError) as exc:
        raise InvalidInputError("this search is not yours, or too old") from exc


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
