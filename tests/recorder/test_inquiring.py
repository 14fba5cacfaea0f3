"""Twilio is asked for the recordings its callbacks never told of; what it says goes the way of a callback."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog

from recorder import calls, capture, sources, voice
from recorder.calls import inquiring
from recorder.events import Event
from recorder.ports import Service, WebhookRequest
from storage.catalogue.recordings import Recording
from tests.conftest import TWILIO_SID, TWILIO_TOKEN, MovingClock
from tests.recorder import exchange as exchanges
from tests.recorder.exchange import Exchange, reply
from tests.recorder.telling import AGENT, CUSTOMER, LINE, its_recordings, open_tasks, tell, the_call, whole_story

CALL, RECORDING = "CA" + "1" * 32, "RE" + "2" * 32
ACCOUNT = f"/2010-04-01/Accounts/{TWILIO_SID}"
LIST = f"{ACCOUNT}/Calls/{CALL}/Recordings.json?PageSize=100"
MEDIA = f"{ACCOUNT}/Recordings/{RECORDING}.wav"
COPY = f"{ACCOUNT}/Recordings/{RECORDING}.json"
TALK = timedelta(minutes=2)


def wav(seconds: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((2, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4 * 8000 * seconds))
    return file.getvalue()


@pytest.fixture
def twilio() -> Iterator[Exchange]:
    with exchanges.running() as running:
        running.recordings[MEDIA] = lambda handler: reply(handler, wav(2))
        yield running


@pytest.fixture
def environment(environment: dict[str, str], twilio: Exchange) -> dict[str, str]:
    return environment | {"RECORDER_PLATFORMS__TWILIO__API_URL": twilio.origin}


def hooked(service: Service, step: str, query: dict[str, str] | None = None, **fields: str) -> Event:
    """What Twilio tells, as it tells it."""
    ends = {"From": CUSTOMER, "To": LINE, "Direction": "inbound"}
    body = urlencode({"AccountSid": TWILIO_SID, "CallSid": CALL, **ends, **fields}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = WebhookRequest("https://h/", step, query or {}, headers, body)
    return service.platforms["twilio"].parse(request, service.clock())[0]


def callback(service: Service, status: str, began: datetime) -> Event:
    told = {"RecordingSid": RECORDING, "RecordingStatus": status, "RecordingStartTime": format_datetime(began)}
    return hooked(service, "recording", {"cause": "consent"}, **told, RecordingDuration="2", RecordingChannels="2")


def agreed(service: Service, clock: MovingClock, digits: str = "1") -> datetime:
    """A caller is asked, presses a key, and is connected; returns when the recording began, if it did."""
    tell(service, *voice.welcome(service, hooked(service, "voice"), clock.now).events)
    clock.advance(seconds=10)
    query = {"script": "inbound-da", "version": "1", "language": "da"}
    tell(service, *voice.after_key(service, hooked(service, "consent", query, Digits=digits), clock.now).events)
    return clock.now + timedelta(seconds=8)


def hung_up(service: Service, clock: MovingClock, after: timedelta = TALK) -> None:
    clock.now += after
    tell(service, hooked(service, "status", CallStatus="completed", Timestamp=format_datetime(clock.now)))


def entry(began: datetime, **said: object) -> dict[str, object]:
    """As Twilio lists a recording (twilio-python, tests/integration/…/call/test_recording.py, with today's fields)."""
    known = {"account_sid": TWILIO_SID, "call_sid": CALL, "sid": RECORDING, "status": "completed", "channels": 2}
    times = {"start_time": format_datetime(began), "date_created": format_datetime(began), "duration": "2"}
    return known | times | {"source": "StartCallRecordingTwiML", "error_code": None, "price": None, **said}


def lists(twilio: Exchange, *entries: dict[str, object]) -> None:
    body = json.dumps({"recordings": entries, "next_page_uri": None, "page": 0, "page_size": 100}).encode()
    twilio.recordings[LIST] = lambda handler: reply(handler, body, content_type="application/json")


def ask(service: Service, clock: MovingClock, **later: float) -> None:
    clock.advance(**later)
    inquiring.ask_platforms(service, clock.now)
    calls.apply_pending(service, clock.now)


def the_recording(service: Service) -> Recording:
    (recording,) = its_recordings(service, the_call(service, CALL, "twilio"))
    return recording


def asked(twilio: Exchange) -> int:
    return twilio.gets.count(LIST)


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


def away(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, b"<html>", 503, "text/html")


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
