"""What is personal about a call and its recordings, sealed under the call key or the recording's data key.

Handles personal data and keys. A call key is wrapped by an inbox key until somebody has consented, then by the key
of the day on which the call's recordings expire.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from recorder.ports import Service
from storage import columns
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.errors import IntegrityError, KeyDestroyedError
from storage.keys import Key

MARKED = ("phone", "account", "agent", "case")
CALL_FIELDS = ("platform_call_id", "from", "to", "account", "agent", "case")

log = structlog.get_logger(__name__)


def keyed(service: Service, call: Call, data: dict[str, Any], now: datetime) -> tuple[Call, bytes]:
    """A new call with a key of its own, under the inbox key of the day; and that key."""
    secret = secrets.token_bytes(32)
    wrapped = rewrapped(call, secret, service.keyring.inbox_key(now))
    return replace(wrapped, sealed=seal(secret, "calls", call.id, data)), secret


def rewrapped(call: Call, secret: bytes, key: Key) -> Call:
    """The call with its key wrapped by this one."""
    wrapped = columns.wrap(key, secret, table="calls", column="call_key", row_id=call.id)
    return replace(call, key_id=key.id, call_key=wrapped)


def call_secret(service: Service, call: Call, now: datetime) -> bytes | None:
    """The call key, or None when the call is blank. Raises `KeyDestroyedError`, `KeyUnavailableError`."""
    if call.key_id is None or call.call_key is None:
        return None
    key = service.keyring.key(call.key_id, now)
    return columns.unwrap(key, call.call_key, table="calls", column="call_key", row_id=call.id)


def seal(secret: bytes, table: str, row_id: str, data: dict[str, Any]) -> bytes:
    return columns.seal(secret, data, table=table, row_id=row_id)


def unseal(secret: bytes, table: str, row_id: str, sealed: bytes | None) -> dict[str, Any]:
    return {} if sealed is None else columns.open_sealed(secret, sealed, table=table, row_id=row_id)


def of_call(service: Service, call: Call, now: datetime) -> dict[str, Any]:
    """What is personal about a call (`CALL_FIELDS`); nothing when it is blank."""
    secret = call_secret(service, call, now)
    return {} if secret is None else unseal(secret, "calls", call.id, call.sealed)


def of_recording(service: Service, call: Call, recording: Recording, now: datetime) -> dict[str, Any]:
    """What is personal about a recording: its own, and while it has no data key, its call's."""
    if recording.dek is not None and recording.key_id is not None:
        dek = service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now)
        return unseal(dek, "recordings", recording.id, recording.sealed)
    secret = call_secret(service, call, now)
    if secret is None:
        return {}
    the_calls = unseal(secret, "calls", call.id, call.sealed)
    return the_calls | unseal(secret, "recordings", recording.id, recording.sealed)


def left_of(service: Service, call: Call, recording: Recording, now: datetime) -> dict[str, Any]:
    """As `of_recording`; nothing where its key is gone or a row is damaged.

    For looking at many, or letting go of one: one that does not open must neither hide others nor be kept for it.
    """
    try:
        return of_recording(service, call, recording, now)
    except KeyDestroyedError:
        return {}
    except IntegrityError as error:
        log.warning("recording.damaged", recording_id=recording.id, code=error.code)
        return {}


def customer_number(direction: str | None, data: dict[str, Any]) -> str | None:
    """The customer's number: the caller's on an inbound call, the called one's on an outbound; None where withheld."""
    number: str | None = data.get({"inbound": "from", "outbound": "to"}.get(direction or "", ""))
    return number


def our_number(direction: str | None, data: dict[str, Any]) -> str | None:
    """The line's own number."""
    number: str | None = data.get({"inbound": "to", "outbound": "from"}.get(direction or "", ""))
    return number


def marks(key: Key, data: dict[str, Any]) -> dict[str, bytes]:
    """What a stored recording is found by under this day key, of what its sealed column holds."""
    return {name: columns.mark(key, name, str(data[name])) for name in MARKED if data.get(name)}
