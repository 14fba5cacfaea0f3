"""More events of one call than are applied at one go: decided as if all had come at once, or not yet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import calls
from recorder.calls import intake
from recorder.calls.family import Family
from recorder.capture import attempting, storing
from recorder.events import Event
from recorder.ports import Service
from storage.catalogue import evidence
from tests.conftest import MovingClock
from tests.recorder.telling import an_event, available, its_recordings, started, tell, the_call, whole_story


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SLICE", 3)


def take_in(service: Service, *events: Event) -> None:
    for event in events:
        intake.submit(service, event, service.clock()).result(10)


def pending(service: Service) -> int:
    with service.database.read() as connection:
        return len(service.inbox.oldest(connection, 100))


def test_p6_a_call_with_many_events_is_applied_slice_by_slice(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    take_in(service, *story)
    left = [pending(service)]
    while left[-1]:
        assert calls.apply_pending(service, clock.now) == (min(3, left[-1]), left[-1] > 3)
        left.append(pending(service))

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    assert left == [7, 4, 1, 0]
    with service.database.read() as connection:
        assert len(evidence.consents_of(connection, [call.id])) == 2
        assert Family(connection, call).decided(service, recording, clock.now).keep[0][0] == 10_000


def test_p1_a_refused_call_is_not_settled_before_all_that_was_said_is_read(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    told = [
        started(begun),
        an_event("consent.refused", begun + timedelta(seconds=10)),
        an_event("call.ended", clock.now),
        an_event("consent.granted", begun + timedelta(seconds=20), method="dtmf", digit="1", script="inbound-da@1"),
        available(clock.now, seconds=61),
    ]
    for event in told:
        take_in(service, event)
        clock.advance(milliseconds=1)
    calls.apply_pending(service, clock.now)

    assert pending(service) == 2
    assert the_call(service).state == "over"
    calls.apply_pending(service, clock.now)
    (recording,) = its_recordings(service, the_call(service))
    with service.database.read() as connection:
        decided = Family(connection, the_call(service)).decided(service, recording, clock.now)
    assert decided.keep == ((20_000, 1 << 40),)


def test_p1_nothing_is_decided_while_a_no_may_still_be_unread(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decides, to keep, to store or to narrow, asks for the call and finds it taken."""
    story = whole_story(clock)
    clock.advance(seconds=61)
    with monkeypatch.context() as at_once:
        at_once.setattr(calls, "SLICE", 100)
        tell(service, *story)
    more = [an_event("call.updated", clock.now, queue=f"q-{number}") for number in range(6)]
    take_in(service, *more, an_event("consent.withdrawn", clock.now))
    (recording,) = its_recordings(service, the_call(service))

    assert attempting.begin(service, recording, clock.now) == "taken"
    assert pending(service) == 4
    with service.database.write() as connection:
        assert storing.locked(service, connection, recording.call_id, recording.id, clock.now) == (None, None)
    assert pending(service) == 1
    assert attempting.begin(service, recording, clock.now) == "discard"
