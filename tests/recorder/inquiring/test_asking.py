"""Of which calls Twilio is asked, when, how often, and when people are told instead; nothing of the call is logged."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from recorder import capture
from recorder.calls import inquiring
from recorder.ports import Service
from tests.conftest import TWILIO_SID, TWILIO_TOKEN, MovingClock
from tests.recorder.exchange import Exchange, reply
from tests.recorder.inquiring.lists import (
    CALL,
    LIST,
    agreed,
    ask,
    asked,
    away,
    callback,
    entry,
    hung_up,
    lists,
    the_recording,
)
from tests.recorder.telling import CUSTOMER, open_tasks, tell, the_call, whole_story


def test_where_a_recording_was_announced_people_are_not_told_of_a_platform_that_does_not_answer(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    tell(service, callback(service, "completed", began))
    twilio.recordings[LIST] = away
    for _ in range(10):
        ask(service, clock, hours=7)

    assert asked(twilio) == 4
    assert open_tasks(service) == set()


def test_a_call_without_a_recording_is_a_task_once_and_asked_for_no_more(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    agreed(service, clock)
    hung_up(service, clock)
    lists(twilio)
    for _ in range(5):
        ask(service, clock, minutes=20)

    assert open_tasks(service) == {("recording_missing", the_call(service, CALL, "twilio").id)}
    assert asked(twilio) == 1


def test_who_hangs_up_while_they_are_thanked_was_not_recorded(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    agreed(service, clock)
    hung_up(service, clock, timedelta(seconds=7))
    lists(twilio)
    ask(service, clock, minutes=15)

    assert asked(twilio) == 1
    assert open_tasks(service) == set()


@pytest.mark.parametrize("trouble", ["away", "processing", "garbage", "another call's"])
def test_it_is_asked_four_times_at_most_and_then_people_are(
    service: Service, clock: MovingClock, twilio: Exchange, trouble: str
) -> None:
    began = agreed(service, clock)
    hung_up(service, clock)
    if trouble == "processing":
        lists(twilio, entry(began, status="processing", duration=None))
    elif trouble == "another call's":
        lists(twilio, entry(began, call_sid="CA" + "9" * 32))
    else:
        twilio.recordings[LIST] = away if trouble == "away" else (lambda handler: reply(handler, b"{]"))
    begun, times = clock.now, []
    while clock.now < begun + timedelta(hours=23):
        before = asked(twilio)
        ask(service, clock, minutes=15)
        times += [clock.now - begun] * (asked(twilio) - before)
    for _ in range(10):
        ask(service, clock, hours=7)

    assert [when // timedelta(minutes=15) for when in times] == [1, 5, 21, 85]
    assert asked(twilio) == 4
    assert {kind for kind, _ in open_tasks(service)} == {"recording_missing"}


def test_a_question_that_killed_who_asked_it_counts(
    service: Service, clock: MovingClock, twilio: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed(service, clock)
    hung_up(service, clock)

    def dies(_call_id: str, _now: datetime) -> Any:
        twilio.gets.append(LIST)
        raise MemoryError

    monkeypatch.setattr(service.platforms["twilio"], "recordings", dies)
    clock.advance(minutes=15)
    for _ in range(4):
        with pytest.raises(MemoryError):
            inquiring.ask_platforms(service, clock.now)
        clock.advance(minutes=10)
    inquiring.ask_platforms(service, clock.now)

    assert asked(twilio) == 4
    assert {kind for kind, _ in open_tasks(service)} == {"recording_missing"}


def test_a_call_that_goes_on_is_not_asked_about(service: Service, clock: MovingClock, twilio: Exchange) -> None:
    began = agreed(service, clock)
    lists(twilio, entry(began, status="in-progress"))
    for _ in range(6):
        ask(service, clock, minutes=30)
    assert twilio.gets == []

    hung_up(service, clock)
    lists(twilio, entry(began))
    ask(service, clock, minutes=14)
    assert twilio.gets == []
    ask(service, clock, minutes=1)
    ask(service, clock, minutes=15)
    assert asked(twilio) == 1


def test_a_call_whose_end_was_never_told_is_asked_about_when_it_must_be_over(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    began = agreed(service, clock)
    lists(twilio, entry(began))
    for _ in range(4 * 24):
        ask(service, clock, minutes=15)
    assert asked(twilio) == 0
    ask(service, clock, minutes=15)
    capture.capture_due(service, clock.advance(minutes=1))

    assert asked(twilio) == 1
    assert the_recording(service).state == "stored", "it began after the yes, though no clocks can be compared"


@pytest.mark.parametrize("digits", ["2", ""])
def test_who_did_not_say_yes_is_not_asked_about(
    service: Service, clock: MovingClock, twilio: Exchange, digits: str
) -> None:
    agreed(service, clock, digits)
    hung_up(service, clock)
    for _ in range(3):
        ask(service, clock, hours=1)

    assert twilio.gets == []


def test_an_exchange_is_never_asked(service: Service, clock: MovingClock, twilio: Exchange) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    for _ in range(3):
        ask(service, clock, hours=1)

    assert twilio.gets == []


def test_p2_nothing_of_the_call_and_no_credentials_are_logged(
    service: Service, clock: MovingClock, twilio: Exchange
) -> None:
    agreed(service, clock)
    hung_up(service, clock)
    twilio.recordings[LIST] = away
    with structlog.testing.capture_logs() as lines:
        ask(service, clock, minutes=15)

    (line,) = [one for one in lines if one["event"] == "inquiry.unanswered"]
    login = base64.b64encode(f"{TWILIO_SID}:{TWILIO_TOKEN}".encode()).decode()
    assert not any(secret in str(line) for secret in (CALL, CUSTOMER, TWILIO_SID, TWILIO_TOKEN, login, twilio.origin))
