"""What another replica holds, or names without having it, makes nobody wait who need not: on PostgreSQL only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from recorder.calls import apply_call, intake
from recorder.events import Event
from recorder.ports import Service
from storage import inbox
from tests.conftest import MovingClock
from tests.recorder.telling import an_event, its_recordings, open_tasks, started, tell, the_call
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
    calls = ("pbx-81", "pbx-82")
    tell(service, *(started(clock.now, call=call) for call in calls))

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            applied(service, connection, paused(clock, "pbx-81", "rec-1"), clock)
            other = pool.submit(tell, service, paused(clock, "pbx-82", "rec-1"))
            until_it_waits(connection, other)
        other.result()

    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]
    assert [len(its_recordings(service, the_call(service, call))) for call in calls] == [1, 0]


def paused(clock: MovingClock, call: str, recording: str) -> Event:
    return an_event("recording.paused", clock.now, call=call, recording_id=recording)


def applied(service: Service, connection: Connection, event: Event, clock: MovingClock) -> None:
    intake.submit(service, event, clock.now).result(10)
    apply_call(service, connection, inbox.ref(service.keyring, event.platform, event.call_id), clock.now)
