"""What happened, in one vocabulary: the canonical events of `/openapi.json`; all webhooks are parsed to these."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from recorder.errors import InvalidEventError
from storage.clock import rfc3339

EventType = Literal[
    "call.started",
    "call.updated",
    "call.transferred",
    "party.joined",
    "party.left",
    "call.ended",
    "consent.requested",
    "consent.granted",
    "consent.refused",
    "consent.unanswered",
    "consent.withdrawn",
    "recording.started",
    "recording.paused",
    "recording.resumed",
    "recording.stopped",
    "recording.available",
    "recording.absent",
    "recording.failed",
]
Clock = Literal["platform", "service"]
UNSAID = "unsaid"


@dataclass(frozen=True)
class Event:
    """One thing a platform told us. Carries personal data: never log it, seal it before it is kept.

    `data` holds the canonical fields by their names in `/openapi.json`, already checked: times as RFC 3339 text,
    telephone numbers in E.164, or None when withheld. Three fields are ours: `opens` (this event may open a call: only
    a call's first webhook does) and, in `data`, `told_to_record` (our answer tells the platform to) and `by_answer`
    (our answer started the recording: True, False, "maybe", or "unsaid" where the sender cannot know).
    """

    type: EventType
    platform: str
    call_id: str  # the platform's id of the call
    key: str  # the dedupe key, unique per platform
    at: datetime | None  # when it happened, by `clock`
    clock: Clock = "platform"
    stamped_at: datetime | None = None  # the platform's clock when it sent this, where it says so
    opens: bool = False
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def recording_id(self) -> str | None:
        """The platform's id of the recording this is about."""
        value = self.data.get("recording_id")
        return str(value) if value is not None else None


@dataclass(frozen=True)
class ReceivedEvent:
    """An event with the moment and the inbox row it was accepted under."""

    event: Event
    received_at: datetime
    inbox_id: str


def encode(event: Event) -> bytes:
    """The event as the inbox keeps it. Carries personal data: seal it."""
    document = {
        "type": event.type,
        "platform": event.platform,
        "call_id": event.call_id,
        "key": event.key,
        "at": rfc3339(event.at),
        "clock": event.clock,
        "stamped_at": rfc3339(event.stamped_at),
        "opens": event.opens,
        "data": event.data,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Event:
    """What `encode` wrote. Raises `InvalidEventError` on anything else."""
    try:
        document = json.loads(body)
        document["at"] = _moment(document["at"])
        document["stamped_at"] = _moment(document["stamped_at"])
        return Event(**document)
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidEventError("not an event of the inbox") from exc


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
