"""What another replica holds, or names without having it, makes nobody wait who need not: on PostgreSQL only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from recorder.calls import apply_call, intake, settling
from recorder.capture import attempting
from recorder.events import Event
from recorder.ports import Service
from storage import inbox
from storage.catalogue import calls
from storage.catalogue.calls import LONGEST_CALL
from tests.conftest import MovingClock
from tests.recorder.telling import an_event, its_recordings, open_tasks, started, tell, the_call, whole_story
from tests.recorder.test_classes import Away
from tests.recorder.test_lock_order import until_it_waits


@pytest.fixture(params=["postgresql"])  # SQLite has one writer
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_two_calls_that_name_each_others_recordings_do_not_wait_for_each_other(
    service: Service, clock: MovingClock
) -> None:
    own = {"pbx-81": "rec-1", "pbx-82": "rec-2"}
    tell(service, *(started(clock.now, call=call) for call in own))
    tell(service, *(paused(clock, call, recording) for call, recording in own.items()))

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            applied(service, connection, paused(clock, "pbx-81", "rec-1"), clock)
            crossing = paused(clock, "pbx-82", "rec-2"), paused(clock, "pbx-82", "rec-1")
            other = pool.submit(tell, service, *crossing)
            until_it_waits(connection, other)
            applied(service, connection, paused(clock, "pbx-81", "rec-2"), clock)
        other.result()

    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"] * 2
    for call in own:
        assert len(its_recordings(service, the_call(service, call))) == 1


def test_of_two_calls_that_name_a_new_recording_at_the_same_moment_it_is_the_firsts(
    service: Service, clock: MovingClock
) -> None:
    both = ("pbx-81", "pbx-82")
    tell(service, *(started(clock.now, call=call) for call in both))

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            applied(service, connection, paused(clock, "pbx-81", "rec-1"), clock)
            other = pool.submit(tell, service, paused(clock, "pbx-82", "rec-1"))
            until_it_waits(connection, other)
        other.result()

    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]
    assert [len(its_recordings(service, the_call(service, call))) for call in both] == [1, 0]


@pytest.mark.parametrize(
    ("changed", "segment", "again"),
    [({}, "private_inbound", LONGEST_CALL), ({"sealed": b"damaged"}, None, settling.AGAIN)],
)
def test_a_due_call_that_another_holds_is_not_waited_for(
    service: Service, clock: MovingClock, changed: dict[str, bytes], segment: str | None, again: timedelta
) -> None:
    """Neither to be given its class, nor to be put off because it does not open."""
    granted = an_event("consent.granted", clock.now, method="dtmf", digit="1")
    tell(replace(service, directory=Away()), started(clock.now, to="+4570999999"), granted)
    with service.database.write() as connection:
        calls.change(connection, the_call(service).id, settle_at=clock.now, **changed)
    due = the_call(service)

    with ThreadPoolExecutor(1) as pool, service.database.write() as connection:
        calls.lock(connection, due.id)
        settled = pool.submit(settling.settle, service, clock.now)
        until_it_waits(connection, settled)
        assert settled.done()
    assert the_call(service) == due

    for _ in range(2):  # what is learned of a call is settled in the next round
        settling.settle(service, clock.now)
    left = the_call(service)
    assert (left.segment, left.settle_at) == (segment, clock.now + again)


def test_a_recording_whose_call_has_no_class_yet_is_left_to_whoever_holds_the_call(
    service: Service, clock: MovingClock
) -> None:
    story = [one for one in whole_story(clock) if one.type != "call.started"]
    clock.advance(seconds=61)
    tell(replace(service, directory=Away()), started(clock.now, to="+4570999999"), *story)
    (recording,) = its_recordings(service, the_call(service))

    with ThreadPoolExecutor(1) as pool, service.database.write() as connection:
        calls.lock(connection, recording.call_id)
        begun = pool.submit(attempting.begin, service, recording, clock.now)
        until_it_waits(connection, begun)
        assert begun.done()

    assert begun.result() == "taken"
    assert its_recordings(service, the_call(service)) == [recording]
    assert isinstance(attempting.begin(service, recording, clock.now), attempting.Job)


def paused(clock: MovingClock, call: str, recording: str) -> Event:
    return an_event("recording.paused", clock.now, call=call, recording_id=recording)


def applied(service: Service, connection: Connection, event: Event, clock: MovingClock) -> None:
    intake.submit(service, event, clock.now).result(10)
    apply_call(service, connection, inbox.ref(service.keyring, event.platform, event.call_id), clock.now)
