"""P6: while events cannot be taken (a database that is away or slow, no scripts), callers are connected unrecorded and
do not wait.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api import webhooks
from recorder.ports import Service
from tests.api.problems import problem
from tests.api.webhooks.senders import AGENT, RECORDING, Exchange, Twilio, accepted


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
        assert await problem(refusal) == (503, "inbox_full")
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
    assert await problem(refusal) == (503, "inbox_full")
    # What was given up on was still finished, and sending it again finds it there.
    assert (await exchange.post("call.ended")).status == 204
    assert len(accepted(service, "standard", "pbx-1")) == 1


async def test_p6_without_the_registry_of_scripts_a_caller_is_connected(twilio: Twilio, service: Service) -> None:
    with service.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE scripts")

    answer = await twilio.twiml("voice")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
