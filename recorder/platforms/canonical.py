"""Canonical events: the vocabulary any exchange can speak, checked field by field.

Unknown fields are ignored, so that a sender may know more than we do; an unknown type is refused, so that nobody
believes we acted on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from recorder.errors import InvalidEventError
from recorder.events import Event, EventType
from recorder.platforms.fields import DAY_MS, Reader, choice, fraction, instant, moment, phone, text, web_address, whole
from recorder.segments import CALL_KINDS, CUSTOMER_TYPES

MAX_CHANNELS = 8
PARTY_ROLES = ("customer", "agent", "outside")
IDENTIFIER = text(128)
SURE = 0.5  # a yes of which the sender's recogniser is less sure does not count

READERS: dict[str, Reader] = {
    "call_id": IDENTIFIER,
    "direction": choice("inbound", "outbound"),
    "from": phone,
    "to": phone,
    "customer_type": choice(*CUSTOMER_TYPES),
    "call_kind": choice(*CALL_KINDS),
    "account": IDENTIFIER,
    "agent": IDENTIFIER,
    "queue": IDENTIFIER,
    "case": IDENTIFIER,
    "leg_id": IDENTIFIER,
    "parent_call_id": IDENTIFIER,
    "ended_at": moment,
    "at": moment,
    "started_at": moment,
    "method": choice("dtmf", "verbal"),
    "digit": text(8, r"[0-9A-D*#]+"),
    "offset_ms": whole(0, DAY_MS),
    "recording_id": IDENTIFIER,
    "script": text(128, r"[a-z0-9-]+@[1-9][0-9]{0,8}"),
    "confidence": fraction,
    "language": text(16, r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"),
    "url": web_address,
    "content_type": text(128),
    "duration_ms": whole(0, DAY_MS),
    "channels": whole(1, MAX_CHANNELS),
    "reason": text(256),
}
CALL = ("direction", "from", "to", "customer_type", "call_kind", "account", "agent", "queue", "case")
PARTY = ("party", "leg_id", "parent_call_id")
CONSENT = (*CALL, "method", "digit", "at", "offset_ms", "recording_id", "script", "confidence", "language")
EDGE = ("recording_id", "at")
OUTCOME = ("recording_id", "reason")

# type → the fields it must carry besides call_id, and those it may.
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "call.started": (("direction", "from", "to"), CALL),
    "call.updated": ((), CALL),
    "call.transferred": (("party",), (*PARTY, *CALL)),
    "party.joined": (("party",), (*PARTY, "at")),
    "party.left": (("party",), (*PARTY, "at")),
    "call.ended": ((), ("ended_at",)),
    "consent.requested": ((), CONSENT),
    "consent.granted": (("method",), CONSENT),
    "consent.refused": ((), CONSENT),
    "consent.unanswered": ((), CONSENT),
    "consent.withdrawn": ((), CONSENT),
    "recording.started": (("recording_id",), (*EDGE, "channel_map")),
    "recording.paused": (("recording_id",), EDGE),
    "recording.resumed": (("recording_id",), EDGE),
    "recording.stopped": (("recording_id",), EDGE),
    "recording.available": (
        ("recording_id", "url", "started_at"),
        ("recording_id", "url", "started_at", "content_type", "duration_ms", "channels", "channel_map"),
    ),
    "recording.absent": (("recording_id",), OUTCOME),
    "recording.failed": (("recording_id",), OUTCOME),
}
# Deliveries overtake one another, so whatever of a call comes first opens it; but the end of a recording nobody
# told us about is never fetched, only deleted at its source.
NEVER_OPEN = frozenset(["recording.available", "recording.absent", "recording.failed"])


def parse(body: bytes, *, platform: str, key: str, stamped_at: datetime, now: datetime) -> Event:
    """One canonical event; a yes that was hardly recognised is none. Raises `InvalidEventError` naming the field."""
    document = _document(body)
    kind = document.get("type")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise InvalidEventError("unknown event type")
    data = document.get("data")
    if not isinstance(data, dict):
        raise InvalidEventError("data must be an object")
    happened = _read("timestamp", document.get("timestamp"), instant, now)
    call_id = _read("call_id", data.get("call_id"), IDENTIFIER, now)
    known = _known(kind, data, now)
    told = known.get("at") or known.get("ended_at")
    unsure = kind == "consent.granted" and known.get("confidence", 1) < SURE
    return Event(
        type=cast("EventType", "consent.unanswered" if unsure else kind),
        platform=platform,
        call_id=call_id,
        key=key,
        at=datetime.fromisoformat(told) if told else happened,
        stamped_at=stamped_at,
        opens=kind not in NEVER_OPEN,
        data=known,
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidEventError("the body is not JSON") from exc
    if not isinstance(document, dict):
        raise InvalidEventError("the body must be an object")
    return document


def _no_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _known(kind: str, data: dict[str, Any], now: datetime) -> dict[str, Any]:
    required, optional = FIELDS[kind]
    for name in required:
        if name not in data:
            raise InvalidEventError(f"{name} is missing")
    known = {
        name: _read(name, data[name], READERS[name], now)
        for name in optional
        if name in data and (data[name] is not None or name in required)
    }
    if "offset_ms" in known and "recording_id" not in known:
        raise InvalidEventError("offset_ms needs the recording_id it counts in")
    return known


def _read(name: str, value: Any, reader: Callable[[Any, datetime], Any], now: datetime) -> Any:
    try:
        return reader(value, now)
    except InvalidEventError as exc:
        raise InvalidEventError(f"{name} {exc}") from exc.__cause__


def schema() -> dict[str, Any]:
    """The body of an event as JSON Schema, type by type."""
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "oneOf": [_schema(kind, *fields) for kind, fields in FIELDS.items()],
    }


def _schema(kind: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    names = dict.fromkeys(("call_id", *required, *optional))
    data = {
        "type": "object",
        "required": ["call_id", *required],
        "properties": {name: dict(READERS[name].schema) for name in names},
    }
    return {"title": kind, "properties": {"type": {"const": kind}, "timestamp": dict(moment.schema), "data": data}}


def _party(value: Any, now: datetime) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidEventError("must be an object")
    role = _read("role", value.get("role"), choice(*PARTY_ROLES), now)
    return {"role": role, "number": _read("number", value.get("number"), phone, now)}


def _channel_map(value: Any, _now: datetime) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_CHANNELS:
        raise InvalidEventError("must map channels to roles")
    if not all(key in "01234567" and len(key) == 1 and role in PARTY_ROLES for key, role in value.items()):
        raise InvalidEventError("must map channels to roles")
    return value


READERS |= {
    "party": Reader(
        _party,
        {
            "type": "object",
            "required": ["role"],
            "properties": {"role": dict(choice(*PARTY_ROLES).schema), "number": dict(phone.schema)},
        },
    ),
    "channel_map": Reader(
        _channel_map,
        {
            "type": "object",
            "propertyNames": {"pattern": "^[0-7]$"},
            "additionalProperties": dict(choice(*PARTY_ROLES).schema),
        },
    ),
}
