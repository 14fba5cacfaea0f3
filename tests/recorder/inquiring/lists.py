"""A call at Twilio: what its callbacks tell, what Twilio lists of it, and how it is asked."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlencode

from recorder import calls, voice
from recorder.calls import inquiring
from recorder.events import Event
from recorder.ports import Service, WebhookRequest
from storage.catalogue.recordings import Recording
from tests.conftest import TWILIO_SID, MovingClock
from tests.recorder.exchange import Exchange, reply
from tests.recorder.telling import CUSTOMER, LINE, its_recordings, tell, the_call

CALL, RECORDING = "CA" + "1" * 32, "RE" + "2" * 32
ACCOUNT = f"/2010-04-01/Accounts/{TWILIO_SID}"
LIST = f"{ACCOUNT}/Calls/{CALL}/Recordings.json?PageSize=100"
MEDIA = f"{ACCOUNT}/Recordings/{RECORDING}.wav"
COPY = f"{ACCOUNT}/Recordings/{RECORDING}.json"
TALK = timedelta(minutes=2)


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


def away(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, b"<html>", 503, "text/html")
