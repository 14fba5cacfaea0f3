"""What platforms tell us of calls, and what became of it: shared by the tests of calls."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from recorder import calls
from recorder.actors import Actor
from recorder.calls import intake
from recorder.calls.family import Family
from recorder.events import Event
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from storage.catalogue import recordings, source_deletions
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.clock import rfc3339
from tests.conftest import MovingClock
from tests.recorder import waiting

CUSTOMER, LINE, SALES_LINE = "+4520123456", "+4570123456", "+4570123457"
OTHER = "+4599887766"  # another customer
CALLED = {"direction": "outbound", "from": SALES_LINE, "to": OTHER, "customer_type": "private", "call_kind": "sales"}
AGENT = Actor("act_1", "agent")
numbers = itertools.count()


def an_event(kind: str, at: datetime, *, call: str = "pbx-81", platform: str = "standard", **data: Any) -> Event:
    return Event(
        kind,  # type: ignore[arg-type] -- a test's shorthand
        platform,
        call,
        f"evt-{next(numbers)}",
        at=at,
        stamped_at=at,
        opens=kind not in {"recording.available", "recording.absent", "recording.failed"},
        data=data,
    )


def started(at: datetime, **data: Any) -> Event:
    call = data.pop("call", "pbx-81")
    ends = {"direction": "inbound", "from": CUSTOMER, "to": LINE}
    return an_event("call.started", at, call=call, **{**ends, **data})


def available(at: datetime, *, recording: str = "rec-1", seconds: int = 60, call: str = "pbx-81") -> Event:
    begun = rfc3339(at - timedelta(seconds=seconds))
    data = {"recording_id": recording, "url": "https://pbx.example/rec-1", "started_at": begun}
    return an_event("recording.available", at, call=call, duration_ms=seconds * 1000, **data)


def tell(service: Service, *events: Event, now: datetime | None = None) -> None:
    """Take events in, one after the other, and apply them together."""
    for event in events:
        intake.submit(service, event, now or service.clock()).result(10)
    calls.apply_pending(service, service.clock())


def the_call(service: Service, platform_call_id: str = "pbx-81", platform: str = "standard") -> Call:
    with service.database.read() as connection:
        call_id = calls.resolve(service, connection, platform, platform_call_id)
        call = call_rows.get(connection, call_id) if call_id else None
    assert call is not None
    return call


def its_recordings(service: Service, call: Call) -> list[Recording]:
    with service.database.read() as connection:
        return recordings.of_call(connection, call.id)


def as_stored(service: Service, recording: Recording) -> None:
    """Take it for stored, as a capture leaves it: with nothing more to do."""
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored", next_try_at=None)


def open_tasks(service: Service) -> set[tuple[str, str]]:
    return set(waiting.open_tasks(service))


def left_at_source(service: Service, at: datetime) -> list[str]:
    """The reasons of all copies to be deleted at their platforms by now; claims them."""
    with service.database.write() as connection:
        claims = iter(lambda: source_deletions.claim(connection, at, at + timedelta(seconds=1)), None)
        return [one.reason for one in claims if one is not None]


def whole_story(clock: MovingClock) -> list[Event]:
    """A call of one minute, a yes after ten seconds."""
    begun = clock.now
    return [
        started(begun),
        an_event("consent.requested", begun + timedelta(seconds=2), method="dtmf", script="inbound-da@1"),
        an_event("consent.granted", begun + timedelta(seconds=10), method="dtmf", digit="1", script="inbound-da@1"),
        an_event("recording.started", begun, recording_id="rec-1"),
        an_event("call.updated", begun + timedelta(seconds=30), agent="a-17", queue="billing", case="c-9"),
        an_event("call.ended", begun + timedelta(seconds=60), ended_at=rfc3339(begun + timedelta(seconds=60))),
        available(begun + timedelta(seconds=60)),
    ]


def keep(service: Service, clock: MovingClock, platform_call_id: str = "pbx-81") -> tuple[tuple[int, int], ...]:
    call = the_call(service, platform_call_id)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        return Family(connection, call).decided(service, recording, clock.now).keep
