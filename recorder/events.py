"""What happened, in one vocabulary: every platform's webhooks are parsed to these (INTERFACES, canonical events)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

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


@dataclass(frozen=True)
class Event:
    """One thing a platform told us. Carries personal data: never log it, seal it before it is kept.

    `data` holds the canonical fields by their names in INTERFACES, already checked: times as aware datetimes are
    kept as RFC 3339 text, numbers in E.164 or None when withheld. Two fields are ours: `opens` (this event may open
    a call: only a call's first webhook does) and `by_answer` in `data` (the recording was started by our own answer).
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
