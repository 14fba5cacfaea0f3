"""A recording whose callbacks were lost is asked for; what Twilio says of it goes the way of a callback, and is kept,
left alone or deleted as that would be.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import calls, capture, sources
from recorder.events import Event
from recorder.ports import Service
from tests.conftest import MovingClock
from tests.recorder.exchange import Exchange
from tests.recorder.inquiring.lists import (
    CALL,
    COPY,
    LIST,
    MEDIA,
    agreed,
    ask,
    asked,
    callback,
    entry,
    hung_up,
    lists,
    the_recording,
)
from tests.recorder.telling import AGENT, its_recordings, open_tasks, tell, the_call


def test_p6_a_recording_whose_callbacks_were_lost_is_asked_for_and_kept(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    lists(twilio, entry(began))

    ask(service, clock, minutes=14)
    assert twilio.gets == []
    ask(service, clock, minutes=1)
    assert capture.capture_due(service, clock.now) == 1
    sources.delete_at_sources(service, clock.advance(seconds=1))

    assert the_recording(service).state == "stored"
    assert (twilio.gets, twilio.deletes) == ([LIST, MEDIA], [COPY])
    assert open_tasks(service) == set()


def test_p6_a_callback_that_comes_late_after_all_changes_nothing(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    lists(twilio, entry(began))
    ask(service, clock, minutes=15)
    before = the_recording(service)

    clock.advance(minutes=1)
    tell(service, callback(service, "completed", began))
    ask(service, clock, days=1)

    assert the_recording(service) == before
    assert asked(twilio) == 1


def test_what_was_announced_is_asked_for_once_and_changes_nothing(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    tell(service, callback(service, "in-progress", began), callback(service, "completed", began))
    before = the_recording(service)
    lists(twilio, entry(began))

    for _ in range(3):
        ask(service, clock, hours=1)

    assert asked(twilio) == 1
    assert the_recording(service) == before


def test_p6_of_two_recordings_the_one_whose_callbacks_were_lost_is_asked_for_too(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    tell(service, callback(service, "completed", began))
    told = clock.now
    lists(twilio, entry(began), entry(began + timedelta(seconds=30), sid="RE" + "3" * 32))

    ask(service, clock, minutes=15)

    both = its_recordings(service, the_call(service, CALL, "twilio"))
    assert {one.available_at for one in both} == {told, clock.now}
    assert asked(twilio) == 1


def test_p6_a_recording_whose_end_was_never_told_is_asked_for_and_still_of_our_making(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    tell(service, callback(service, "in-progress", began))
    hung_up(service, clock)
    lists(twilio, entry(began))

    ask(service, clock, minutes=15)

    recording = the_recording(service)
    assert recording.available_at == clock.now
    assert recording.by_answer


def test_a_recording_that_came_to_nothing_is_no_task(service: Service, clock: MovingClock, twilio: Exchange) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    lists(twilio, entry(began, status="absent", error_code=16101, duration=None, start_time=None))
    ask(service, clock, minutes=15)

    recording = the_recording(service)
    assert (recording.state, recording.reason) == ("discarded", "platform_absent")
    assert open_tasks(service) == set()


def test_p1_what_is_found_of_a_call_that_was_withdrawn_is_deleted_there_unfetched(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    clock.advance(seconds=60)
    call = the_call(service, CALL, "twilio")
    event = Event("consent.withdrawn", "twilio", CALL, "button-1", clock.now, "service", data={"agent": AGENT.id})
    tell(service, event)
    hung_up(service, clock)
    with service.database.read() as connection:
        assert calls.resolve(service, connection, "twilio", CALL) is None, f"{call.id} is not blank"

    lists(twilio, entry(began))
    ask(service, clock, minutes=15)
    capture.capture_due(service, clock.now)
    sources.delete_at_sources(service, clock.advance(seconds=1))

    assert (twilio.gets, twilio.deletes) == ([LIST], [COPY])
    assert open_tasks(service) == set()


def test_p1_a_recording_that_began_before_the_yes_is_not_of_our_making(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    """A flow of the account's own may record too, and a list does not say whose answer began it."""
    began = agreed(service, clock) - timedelta(minutes=1)
    hung_up(service, clock)
    lists(twilio, entry(began))
    ask(service, clock, minutes=15)
    ask(service, clock, days=1)
    capture.capture_due(service, clock.now)
    sources.delete_at_sources(service, clock.advance(seconds=1))

    assert (twilio.gets, twilio.deletes) == ([LIST], [COPY])


@pytest.mark.parametrize("source", ["RecordVerb", "DialVerb", "Conference", "OutboundAPI", "Trunking"])
def test_what_others_recorded_in_the_call_is_left_alone(
    service: Service, clock: MovingClock, twilio: Exchange, source: str
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    lists(twilio, entry(began, source=source))
    ask(service, clock, minutes=15)
    sources.delete_at_sources(service, clock.advance(seconds=1))

    assert twilio.deletes == []
    assert {kind for kind, _ in open_tasks(service)} == {"recording_missing"}


def test_what_is_ready_only_later_is_kept(service: Service, clock: MovingClock, twilio: Exchange) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    lists(twilio, entry(began, status="processing", duration=None))
    ask(service, clock, minutes=15)
    lists(twilio, entry(began))
    ask(service, clock, hours=1)
    capture.capture_due(service, clock.now)

    assert the_recording(service).state == "stored"
    assert open_tasks(service) == set()
