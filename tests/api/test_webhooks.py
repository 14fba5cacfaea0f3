"""Webhooks through the real application, signed by the vendors' own SDKs: what is accepted, what is answered."""

from __future__ import annotations

import asyncio
import json
import threading
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

from api import webhooks
from api.app import create_app
from recorder.events import Event, decode
from recorder.ports import Service
from storage.inbox import Inbox, ref
from tests.conftest import STANDARD_SECRET, TWILIO_SID, TWILIO_TOKEN, MovingClock
from tests.rows import written_down

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALL = "CA" + "1" * 32
RECORDING = "RE" + "2" * 32
LINE, AGENT = "+4570123456", "+4570000000"
Client = TestClient[Any, Any]


@pytest.fixture
async def client(service: Service, aiohttp_client: Callable[..., Awaitable[Client]]) -> Client:
    return await aiohttp_client(create_app(service))


class Twilio:
    """A platform that signs with its own SDK what it sends to the service's public address."""

    def __init__(self, client: Client, service: Service) -> None:
        self.client, self.public_url = client, service.settings.http.public_url

    async def post(self, path: str, token: str = TWILIO_TOKEN, **fields: str) -> ClientResponse:
        whole = {"AccountSid": TWILIO_SID, "CallSid": CALL, "From": "+4520123456", "To": LINE, "Direction": "inbound"}
        whole |= fields
        path = path.removeprefix(self.public_url)
        if not path.startswith("/"):
            path = f"/webhooks/twilio/{path}"
        signature = RequestValidator(token).compute_signature(self.public_url + path, whole)
        response = await self.client.post(
            path, data=urlencode(whole).encode(), headers=FORM | {"X-Twilio-Signature": signature}
        )
        await response.read()
        return response

    async def twiml(self, path: str, **fields: str) -> ET.Element:
        response = await self.post(path, **fields)
        assert (response.status, response.content_type) == (200, "application/xml")
        return ET.fromstring(await response.text())


@pytest.fixture
def twilio(client: Client, service: Service) -> Twilio:
    return Twilio(client, service)


class Exchange:
    """Any exchange, signing with the reference library."""

    def __init__(self, client: Client, clock: MovingClock) -> None:
        self.client, self.clock = client, clock

    async def post(self, kind: str, message_id: str = "msg_1", **data: Any) -> ClientResponse:
        timestamp = self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        return await self.send(
            json.dumps({"type": kind, "timestamp": timestamp, "data": {"call_id": "pbx-1", **data}}), message_id
        )

    async def send(self, body: str, message_id: str = "msg_1", **headers: str) -> ClientResponse:
        now = self.clock()
        signed = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(STANDARD_SECRET).sign(message_id, now, body),
        }
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.post("/webhooks/events", data=body.encode(), headers=signed)
        await response.read()
        return response


@pytest.fixture
def exchange(client: Client, clock: MovingClock) -> Exchange:
    return Exchange(client, clock)


def accepted(service: Service, platform: str = "twilio", call_id: str = CALL) -> list[Event]:
    """The events of a call lying in the inbox, not yet applied."""
    with service.database.read() as connection:
        items = Inbox.pending(connection, ref(service.keyring, platform, call_id))
    return [decode(service.inbox.open_body(item, service.clock())) for item in items]


@contextmanager
def writing_blocked(service: Service) -> Iterator[None]:
    """Somebody keeps others from writing while the block runs."""
    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with service.database.write() as connection:
            if not service.database.sqlite:  # there a writer keeps others from a row, not from the database
                connection.exec_driver_sql("LOCK TABLE inbox IN EXCLUSIVE MODE")
            taken.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(30)
    try:
        yield
    finally:
        release.set()
        thread.join()


async def problem(response: ClientResponse, status: int) -> str:
    assert (response.status, response.content_type) == (status, "application/problem+json")
    return str((await response.json())["code"])


# --- the way of a call


async def test_p1_a_call_with_a_yes_is_recorded_from_the_answer_on(twilio: Twilio, service: Service) -> None:
    asked = await twilio.twiml("voice")
    action = asked.findall("Gather")[0].attrib["action"]
    answered = await twilio.twiml(action, Digits="1")
    callback = answered.findall("Start/Recording")[0].attrib["recordingStatusCallback"]
    started = await twilio.post(callback, RecordingSid=RECORDING, RecordingStatus="in-progress")
    completed = await twilio.post(callback, RecordingSid=RECORDING, RecordingStatus="completed", RecordingDuration="42")
    ended = await twilio.post("status", CallStatus="completed")

    assert [verb.tag for verb in asked] == ["Say", "Gather"]
    asked = f"{service.clock().timestamp():.0f}"
    path = f"/webhooks/twilio/consent?script=inbound-da&version=1&language=da&asked={asked}"
    assert action == service.settings.http.public_url + path
    assert [verb.tag for verb in answered] == ["Say", "Start", "Dial"]
    assert answered[2].text == AGENT
    assert [response.status for response in (started, completed, ended)] == [204, 204, 204]
    events = accepted(service)
    assert sorted(event.type for event in events) == [
        "call.ended",
        "call.started",
        "consent.granted",
        "consent.requested",
        "recording.available",
        "recording.started",
    ]
    by_type = {event.type: event for event in events}
    assert by_type["consent.granted"].data["script"] == "inbound-da@1"
    assert by_type["consent.granted"].clock == "service"
    assert by_type["recording.available"].data["by_answer"] is True
    assert [event.type for event in events if event.opens] == ["call.started"]


@pytest.mark.parametrize("digits", ["2", "3", "*", "", "11"])
async def test_p1_every_other_answer_connects_to_the_same_place_unrecorded(twilio: Twilio, digits: str) -> None:
    action = (await twilio.twiml("voice")).findall("Gather")[0].attrib["action"]

    polite, dial = answer = await twilio.twiml(action, Digits=digits)

    assert polite.text == "Helt i orden. Vi optager ikke samtalen."
    assert (dial.tag, dial.text) == ("Dial", AGENT)
    assert answer.find(".//Recording") is None


@pytest.mark.parametrize("keys", ["212", "121"])
async def test_p1_a_caller_who_is_asked_again_may_say_the_same_again(
    twilio: Twilio, service: Service, clock: MovingClock, keys: str
) -> None:
    for key in keys:
        clock.advance(seconds=10)
        action = (await twilio.twiml("voice")).findall("Gather")[0].attrib["action"]
        for _ in range(2):  # Twilio repeats what it got no answer to
            await twilio.twiml(action, Digits=key)

    answers = [event.data["digit"] for event in accepted(service) if event.data.get("digit")]
    assert answers == list(keys)


async def test_an_answer_that_names_no_question_was_given_to_the_script_of_the_day(twilio: Twilio) -> None:
    answer = await twilio.twiml("consent", Digits="1")

    assert answer.find(".//Recording") is not None
    assert (await twilio.twiml("consent", CallSid="CA" + "2" * 32, Digits="2")).find(".//Recording") is None


async def test_p1_a_yes_to_a_question_nobody_asked_records_nothing(twilio: Twilio) -> None:
    for path in (
        "consent?script=inbound-da&version=9&language=da",
        "consent?script=outbound-da&version=1&language=da",
    ):
        answer = await twilio.twiml(path, Digits="1")

        assert [verb.tag for verb in answer] == ["Dial"]


@pytest.mark.parametrize(
    "fields",
    [
        {"To": "+4570123457"},  # asked elsewhere
        {"Direction": "outbound-api", "From": LINE, "To": "+4520123456"},  # the agent asks
    ],
)
async def test_lines_that_do_not_ask_connect_at_once(twilio: Twilio, service: Service, fields: dict[str, str]) -> None:
    answer = await twilio.twiml("voice", **fields)

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
    assert [event.type for event in accepted(service)] == ["call.started"]


async def test_p6_an_unknown_line_is_connected_to_the_organisation(
    twilio: Twilio, service: Service, settings: Any
) -> None:
    answer = await twilio.twiml("voice", To="+4599999999")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", service.settings.organisation.phone)]


async def test_a_line_whose_script_is_not_approved_connects_unrecorded(twilio: Twilio, service: Service) -> None:
    path = service.settings.lines_path
    path.write_text(path.read_text("utf-8").replace('"inbound-da"', '"not-written-yet"'), "utf-8")

    answer = await twilio.twiml("voice")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]


async def test_canonical_events_are_accepted(exchange: Exchange, service: Service) -> None:
    response = await exchange.post("consent.granted", method="verbal", agent="a-17")

    assert response.status == 204
    (event,) = accepted(service, "standard", "pbx-1")
    assert (event.type, event.key, event.data) == ("consent.granted", "msg_1", {"method": "verbal", "agent": "a-17"})


# --- nothing doubled


async def test_p6_duplicates_are_answered_alike_and_kept_once(
    twilio: Twilio, exchange: Exchange, service: Service
) -> None:
    first = await (await twilio.post("voice")).text()
    again = await (await twilio.post("voice")).text()
    statuses = [
        (await twilio.post("recording", RecordingSid=RECORDING, RecordingStatus="completed")).status for _ in range(3)
    ]
    statuses += [(await exchange.post("call.ended")).status for _ in range(3)]

    assert first == again
    assert set(statuses) == {204}
    assert len(accepted(service)) == 3
    assert len(accepted(service, "standard", "pbx-1")) == 1


async def test_p6_simultaneous_duplicates_are_kept_once(exchange: Exchange, service: Service) -> None:
    responses = await asyncio.gather(*(exchange.post("call.ended") for _ in range(20)))

    assert {response.status for response in responses} == {204}
    assert len(accepted(service, "standard", "pbx-1")) == 1


# --- signatures


async def test_wrong_signatures_are_401_and_nothing_is_kept(
    twilio: Twilio, exchange: Exchange, service: Service
) -> None:
    refusals = [
        await twilio.post("voice", token="wrong"),
        await twilio.post("consent", token="wrong", Digits="1"),
        await twilio.post("recording", token="wrong", RecordingSid=RECORDING, RecordingStatus="completed"),
        await twilio.post("status", token="wrong", CallStatus="completed"),
        await exchange.send("{}", webhook_signature="v1,AAAA"),
        await exchange.send("{}", webhook_signature="nonsense"),
        await exchange.send("{}", webhook_id=""),
        await exchange.send("{}", webhook_timestamp="0"),
        await exchange.send("{}", webhook_timestamp="soon"),
        await twilio.client.post("/webhooks/events", data=b"{}"),
        await twilio.client.post("/webhooks/twilio/voice", data=b""),
    ]

    answers = {json.dumps({**await response.json(), "request_id": ""}) for response in refusals}
    assert {await problem(response, 401) for response in refusals} == {"signature"}
    assert len(answers) == 1
    assert accepted(service) == accepted(service, "standard", "pbx-1") == []


async def test_stale_messages_are_refused_and_fresh_retries_are_not(
    exchange: Exchange, clock: MovingClock, service: Service
) -> None:
    body = json.dumps({"type": "call.ended", "timestamp": "2026-09-03T08:11:00Z", "data": {"call_id": "pbx-1"}})
    sent_at, signature = clock(), Webhook(STANDARD_SECRET).sign("msg_1", clock(), body)
    stale = {"webhook_timestamp": str(int(sent_at.timestamp())), "webhook_signature": signature}
    clock.advance(seconds=301)

    replayed = await exchange.send(body, **stale)
    retried = await exchange.send(body)

    assert await problem(replayed, 401) == "signature"
    assert retried.status == 204


async def test_the_public_address_comes_from_settings_alone(client: Client, service: Service) -> None:
    fields = {"AccountSid": TWILIO_SID, "CallSid": CALL, "CallStatus": "completed"}
    theirs = RequestValidator(TWILIO_TOKEN).compute_signature("https://evil.example/webhooks/twilio/status", fields)
    ours = RequestValidator(TWILIO_TOKEN).compute_signature(
        f"{service.settings.http.public_url}/webhooks/twilio/status", fields
    )
    lies = FORM | {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}

    async def status(signature: str) -> int:
        headers = lies | {"X-Twilio-Signature": signature}
        return (await client.post("/webhooks/twilio/status", data=urlencode(fields).encode(), headers=headers)).status

    assert await status(theirs) == 401
    assert await status(ours) == 204


# --- bad input


async def test_malformed_events_are_400_and_nothing_is_kept(
    twilio: Twilio, exchange: Exchange, service: Service
) -> None:
    refusals = [
        await twilio.post("voice", CallSid="CA1"),
        await twilio.post("recording", RecordingSid="RE1", RecordingStatus="completed"),
        await twilio.post("status", CallStatus="completed", Timestamp="yesterday"),
        await exchange.post("call.exploded"),
        await exchange.post("consent.granted", method="dtmf", at="9999-01-01T00:00:00Z"),
        await exchange.post("call.started", **{"direction": "inbound", "from": 1, "to": None}),
        await exchange.post("call.ended", call_id="x" * 1000),
        await exchange.send(""),
        await exchange.send("[1"),
    ]

    assert {await problem(response, 400) for response in refusals} == {"invalid_event"}
    assert accepted(service) == accepted(service, "standard", "pbx-1") == []


async def test_errors_never_repeat_what_was_sent(exchange: Exchange) -> None:
    response = await exchange.post("call.started", **{"direction": "+4520123456", "from": None, "to": None})

    assert "+4520123456" not in await response.text()


async def test_a_body_too_large_is_413(twilio: Twilio, exchange: Exchange, service: Service) -> None:
    padding = "x" * service.settings.http.max_body_bytes

    assert await problem(await twilio.post("voice", Padding=padding), 413) == "too_large"
    assert await problem(await exchange.post("call.ended", padding=padding), 413) == "too_large"


async def test_other_methods_and_steps_are_not_there(client: Client) -> None:
    assert (await client.get("/webhooks/events")).status == 405
    assert (await client.post("/webhooks/twilio/other")).status == 404


# --- when we cannot take it


async def test_p6_a_caller_is_connected_unrecorded_while_events_cannot_be_taken(
    twilio: Twilio, exchange: Exchange, service: Service
) -> None:
    action = (await twilio.twiml("voice")).findall("Gather")[0].attrib["action"]
    service.inbox.close()

    for path, digits in (("voice", ""), (action, "1"), (action, "2")):
        answer = await twilio.twiml(path, CallSid="CA" + "9" * 32, Digits=digits)
        assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
    for refusal in (
        await twilio.post("recording", RecordingSid=RECORDING, RecordingStatus="completed"),
        await twilio.post("status", CallStatus="completed"),
        await exchange.post("call.ended"),
    ):
        assert await problem(refusal, 503) == "inbox_full"
        assert int(refusal.headers["Retry-After"]) > 0


async def test_p6_a_caller_does_not_wait_for_a_slow_database(
    twilio: Twilio, exchange: Exchange, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "CALLER_SECONDS", 0.2)
    monkeypatch.setattr(webhooks, "EVENT_SECONDS", 0.2)
    with writing_blocked(service):
        answer = await twilio.twiml("voice")
        refusal = await exchange.post("call.ended")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
    assert await problem(refusal, 503) == "inbox_full"
    # What was given up on was still finished, and sending it again finds it there.
    assert (await exchange.post("call.ended")).status == 204
    assert len(accepted(service, "standard", "pbx-1")) == 1


async def test_p6_without_the_registry_of_scripts_a_caller_is_connected(twilio: Twilio, service: Service) -> None:
    with service.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE scripts")

    answer = await twilio.twiml("voice")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]


async def test_p2_what_is_accepted_lies_sealed(exchange: Exchange, service: Service) -> None:
    await exchange.post(
        "call.started", **{"direction": "inbound", "from": "+4520123456", "to": LINE, "account": "A-1001"}
    )
    service.inbox.close()

    (service.settings.data_dir / "directory.csv").unlink()
    kept = written_down(service)

    assert b"inb_" in kept
    for plain in (b"20123456", b"A-1001", b"pbx-1"):
        assert plain not in kept
