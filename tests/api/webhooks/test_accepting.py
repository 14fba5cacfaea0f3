"""What is accepted lies in the inbox once, however often and at once it was sent, and lies there sealed."""

from __future__ import annotations

import asyncio

from recorder.ports import Service
from tests.api.webhooks.senders import LINE, RECORDING, Exchange, Twilio, accepted
from tests.rows import written_down


async def test_canonical_events_are_accepted(exchange: Exchange, service: Service) -> None:
    response = await exchange.post("consent.granted", method="verbal", agent="a-17")

    assert response.status == 204
    (event,) = accepted(service, "standard", "pbx-1")
    assert (event.type, event.key, event.data) == ("consent.granted", "msg_1", {"method": "verbal", "agent": "a-17"})


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
