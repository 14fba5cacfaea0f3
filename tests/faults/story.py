"""What happens outside the service in one run: calls with and without a yes, told in any order, some of it twice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recorder.events import Event
from storage.clock import rfc3339
from tests.recorder.sounds import noise, wav

KINDS = ("yes", "yes", "no", "silent", "withdrawn", "later_yes", "ordered", "held")
KEPT = frozenset({"yes", "later_yes", "held"})  # what must be stored in the end; of all others nothing may be
SECONDS = 2
CUSTOMER = "+4520123456"


@dataclass(frozen=True)
class Told:
    """One call: what the exchange says of it, and the recording that lies there."""

    id: str
    kind: str
    events: tuple[Event, ...]
    sound: bytes

    @property
    def recording(self) -> str:
        return f"rec-{self.id}"


def call(number: int, chance: random.Random, began: datetime, origin: str) -> Told:
    """One call of a random kind; the event that opens it comes first, the others in random order."""
    kind, name = chance.choice(KINDS), f"pbx-{number}"
    ended = began + timedelta(seconds=SECONDS)
    said: dict[str, list[tuple[str, datetime]]] = {
        "yes": [("consent.granted", began)],
        "ordered": [("consent.granted", began)],
        "held": [("consent.granted", began)],
        "no": [("consent.refused", began)],
        "silent": [],
        "withdrawn": [("consent.granted", began), ("consent.withdrawn", ended)],
        "later_yes": [("consent.refused", began), ("consent.granted", began + timedelta(milliseconds=1))],
    }
    media = {
        "recording_id": f"rec-{name}",
        "started_at": rfc3339(_heard_from(kind, began)),
        "duration_ms": SECONDS * 1000,
    }
    rest: list[tuple[str, datetime, dict[str, Any]]] = [
        (one, at, {"method": "dtmf", "digit": "1", "script": "inbound-da@1", "at": rfc3339(at)})
        for one, at in said[kind]
    ]
    rest.append(("recording.available", ended, {**media, "url": f"{origin}/rec-{name}"}))
    rest.append(("call.ended", ended, {"ended_at": rfc3339(ended)}))
    chance.shuffle(rest)
    opening = (
        "call.started",
        began,
        {"direction": "inbound", "from": CUSTOMER, "to": "+4570123456", "account": "A-1001"},
    )
    events = [
        Event(one, "standard", name, f"{name}-{one}", at, stamped_at=at, opens=not index, data=data)  # type: ignore[arg-type]
        for index, (one, at, data) in enumerate([opening, *rest])
    ]
    return Told(name, kind, tuple(events), wav(noise(chance, SECONDS)))


def _heard_from(kind: str, began: datetime) -> datetime:
    return began + timedelta(milliseconds=1 if kind == "later_yes" else 0)
