"""What is refused, and leaves nothing behind: wrong signatures, stale or malformed messages, bodies too large, other
methods.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

from recorder.ports import Service
from tests.api.conftest import Client
from tests.api.problems import problem
from tests.api.webhooks.senders import CALL, FORM, RECORDING, Exchange, Twilio, accepted
from tests.conftest import STANDARD_SECRET, TWILIO_SID, TWILIO_TOKEN, MovingClock


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
    assert {await problem(response) for response in refusals} == {(401, "signature")}
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

    assert await problem(replayed) == (401, "signature")
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

    assert {await problem(response) for response in refusals} == {(400, "invalid_event")}
    assert accepted(service) == accepted(service, "standard", "pbx-1") == []


async def test_errors_never_repeat_what_was_sent(exchange: Exchange) -> None:
    response = await exchange.post("call.started", **{"direction": "+4520123456", "from": None, "to": None})

    assert "+4520123456" not in await response.text()


async def test_a_body_too_large_is_413(twilio: Twilio, exchange: Exchange, service: Service) -> None:
    padding = "x" * service.settings.http.max_body_bytes

    assert await problem(await twilio.post("voice", Padding=padding)) == (413, "too_large")
    assert await problem(await exchange.post("call.ended", padding=padding)) == (413, "too_large")


async def test_other_methods_and_steps_are_not_there(client: Client) -> None:
    assert (await client.get("/webhooks/events")).status == 405
    assert (await client.post("/webhooks/twilio/other")).status == 404
