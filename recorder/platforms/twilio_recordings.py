"""What Twilio says of recordings: in the callbacks our answers name and, when asked, in its list of a call's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from recorder.errors import InvalidEventError, PlatformError
from recorder.events import UNSAID, Event, EventType
from recorder.platforms.fields import DAY_MS, instant, plausible
from recorder.ports import Listing
from storage.clock import rfc3339

PLATFORM = "twilio"
RECORDING_SID = re.compile(r"RE[0-9a-fA-F]{32}")
DIGITS = re.compile(r"[0-9]{1,6}")
CAUSE = "cause"  # query parameter of the callback address in our own answer to the yes; signed with it
BY_CONSENT = "consent"
TYPES: dict[str, EventType] = {
    "in-progress": "recording.started",
    "completed": "recording.available",
    "absent": "recording.absent",
    "failed": "recording.failed",
}
CHANNELS = {"0": "customer", "1": "agent"}  # the parent leg comes first: with our answer, the caller
UNFINISHED = frozenset(["in-progress", "paused", "stopped", "processing"])
# What no answer of ours can have started: a voicemail, say, which somebody else with the account has a use for.
OF_OTHERS = frozenset(
    ["dialverb", "recordverb", "conference", "startconferencerecordingapi", "outboundapi", "trunking"]
)
UNREADABLE = "Twilio's list cannot be read"
LISTED = {  # field of a callback -> the same in a list
    "RecordingSid": "sid",
    "RecordingStatus": "status",
    "RecordingStartTime": "start_time",
    "RecordingDuration": "duration",
    "RecordingChannels": "channels",
    "RecordingSource": "source",
    "ErrorCode": "error_code",
}


def told(call_id: str, fields: Mapping[str, str], query: Mapping[str, str], now: datetime) -> list[Event]:
    """What a callback says; nothing where it says nothing we keep. Raises `InvalidEventError`."""
    recording_id = fields.get("RecordingSid", "")
    if not RECORDING_SID.fullmatch(recording_id):
        raise InvalidEventError("RecordingSid is missing or malformed")
    status = fields.get("RecordingStatus", "")
    kind = TYPES.get(status)
    if kind is None:
        return []
    started_at = time(fields.get("RecordingStartTime"), now)
    data: dict[str, Any] = {"recording_id": recording_id, "by_answer": _by_answer(fields, query)}
    if source := fields.get("RecordingSource"):
        data["source"] = source[:64]
    if kind == "recording.started":
        data["at"] = rfc3339(started_at)
    elif kind == "recording.available":
        data |= {"started_at": rfc3339(started_at), "content_type": "audio/wav"} | _measures(fields)
        if data["by_answer"] is True and data.get("channels") == len(CHANNELS):
            data["channel_map"] = CHANNELS
    else:
        data["reason"] = (fields.get("ErrorCode") or status)[:64]
    at = started_at if kind == "recording.started" else None
    return [Event(kind, PLATFORM, call_id, f"{recording_id}:{status}", at=at, data=data)]


def page(body: bytes) -> tuple[list[Any], str | None]:
    """What stands on one page of a list, and where the next one lies. Raises `PlatformError`."""
    try:
        document = json.loads(body)
        entries, following = document["recordings"], document.get("next_page_uri")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise PlatformError(UNREADABLE) from exc
    if not isinstance(entries, list) or not isinstance(following, str | None):
        raise PlatformError(UNREADABLE)
    return entries, following


def listed(call_id: str, entries: Iterable[Any], now: datetime) -> Listing:
    """What a list says of a call's recordings, as its callbacks would have.

    Raises `PlatformError`, and `InvalidEventError` for an entry that no callback of Twilio's would be.
    A list does not say whose answer started a recording: that is left to what else is known.
    """
    events: list[Event] = []
    unfinished = False
    for entry in entries:
        fields = _as_called_back(entry, call_id)
        status = fields.get("RecordingStatus")
        if fields.get("RecordingSource", "").lower() in OF_OTHERS:
            continue
        unfinished |= status in UNFINISHED
        if status not in UNFINISHED:
            events += told(call_id, fields, {}, now)
    return Listing(tuple(replace(one, data=one.data | {"by_answer": UNSAID}) for one in events), unfinished)


def _as_called_back(entry: Any, call_id: str) -> dict[str, str]:
    if not isinstance(entry, dict) or entry.get("call_sid", call_id) != call_id:
        raise PlatformError(UNREADABLE)
    stated = {field: entry[name] for field, name in LISTED.items() if entry.get(name) is not None}
    fields = {field: str(value) for field, value in stated.items() if isinstance(value, str | int)}
    if len(fields) != len(stated) or not all(value.isprintable() for value in fields.values()):
        raise PlatformError(UNREADABLE)
    return fields


def _by_answer(fields: Mapping[str, str], query: Mapping[str, str]) -> bool | str:
    """Whether our own TwiML started the recording; "maybe" where the REST API did, in the name of whoever asked it."""
    if query.get(CAUSE) == BY_CONSENT:
        return True
    source = fields.get("RecordingSource", "").lower()
    if source == "startcallrecordingapi":
        return "maybe"
    return source in {"", "startcallrecordingtwiml"}


def _measures(fields: Mapping[str, str]) -> dict[str, int]:
    measures = {}
    if (seconds := _number(fields, "RecordingDuration", DAY_MS // 1000)) is not None:
        measures["duration_ms"] = seconds * 1000
    if (channels := _number(fields, "RecordingChannels", 2)) is not None:
        measures["channels"] = channels
    return measures


def _number(fields: Mapping[str, str], name: str, high: int) -> int | None:
    text = fields.get(name, "")
    if not text:
        return None
    if not DIGITS.fullmatch(text) or int(text) > high:
        raise InvalidEventError(f"{name} is not a number it can have")
    return int(text)


def time(text: str | None, now: datetime) -> datetime | None:
    """RFC 2822, as Twilio writes times today, or RFC 3339."""
    if not text:
        return None
    try:
        stated = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return instant(text, now)
    return plausible(stated if stated.tzinfo else stated.replace(tzinfo=UTC), now)
