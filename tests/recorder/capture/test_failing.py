"""What can never be kept fails at once; and what failed, or is not stored yet, goes as everything else does: with its
day, by a withdrawal, by an order, at the exchange too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import func, select

from recorder import calls, capture, erasure, sources
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import recordings
from storage.tables import metadata
from tests.recorder import exchange as exchanges
from tests.recorder.captured import DPO, PATH, START, WHOLE, at, only, told
from tests.recorder.exchange import Exchange, Story, reply
from tests.recorder.stored import objects


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x00\x00\x00\x20ftypM4A " + bytes(5000), "audio_unsupported"),
        (AESGCM(bytes(32)).encrypt(bytes(12), WHOLE, None), "audio_unsupported"),  # a platform's own encryption is on
        (lambda handler: reply(handler, WHOLE, length=3_000_000_000), "media_too_large"),
    ],
)
def test_what_can_never_be_kept_fails_at_once(
    service: Service, exchange: Exchange, answer: object, reason: str
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("failed", reason)
    assert objects(service) == []


def failed(service: Service, exchange: Exchange) -> Story:
    """A recording with a yes whose audio is of no kind we keep: it still lies at the exchange."""
    story = told(service, exchange, audio=b"\x00\x00\x00\x20ftypM4A " + bytes(5000))
    capture.capture_due(service, at(13))
    calls.apply_pending(service, at(13))
    assert only(service).state == "failed"
    return story


def is_gone(service: Service, exchange: Exchange, now: datetime) -> None:
    """Nothing personal is left of the call, neither here nor there."""
    sources.delete_at_sources(service, now)
    assert exchange.deletes == [PATH]
    with service.database.read() as connection:
        (call,) = connection.execute(select(metadata.tables["calls"])).mappings()
        evidence = connection.execute(select(func.count()).select_from(metadata.tables["consents"])).scalar_one()
    assert (call["state"], call["ref"], call["sealed"], call["started_at"], evidence) == ("blank", None, None, None, 0)


def test_p3_what_could_not_be_captured_goes_with_its_day_too(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    over = at(10) + timedelta(days=90)
    service.keyring.ensure(over)
    calls.apply_pending(service, over - timedelta(seconds=1))
    assert only(service).state == "failed"
    calls.apply_pending(service, over)
    assert (only(service).state, only(service).reason, only(service).ref) == ("discarded", "expired", None)
    is_gone(service, exchange, over)


def test_p1_a_withdrawal_reaches_what_could_not_be_captured(service: Service, exchange: Exchange) -> None:
    story = failed(service, exchange)
    story.consent(60, "withdrawn")
    calls.apply_pending(service, at(61))
    assert (only(service).state, only(service).reason) == ("discarded", "withdrawn")
    is_gone(service, exchange, at(62))


def test_p1_an_order_reaches_the_copy_of_what_could_not_be_captured(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    assert erasure.erase(service, only(service).id, reason="dpo_order", actor=DPO, now=at(60)) is not None
    is_gone(service, exchange, at(61))


def test_p1_an_order_about_what_is_not_stored_yet_keeps_it_out_and_the_rest_as_it_is(
    service: Service, exchange: Exchange
) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    story.recording += "-2"
    story.available(exchange.origin + "/r/2.wav", 14)
    with service.database.read() as connection:
        found = connection.execute(select(metadata.tables["recordings"].c.id, metadata.tables["recordings"].c.state))
        states = {state: recording_id for recording_id, state in found}
    assert erasure.erase(service, states["announced"], reason="dpo_order", actor=DPO, now=at(15)) is None
    for _ in range(2):
        capture.capture_due(service, at(16))
    with service.database.read() as connection:
        first, second = (recordings.get(connection, states[state]) for state in ("stored", "announced"))
    assert first is not None
    assert second is not None
    assert (first.state, second.state, second.reason) == ("stored", "discarded", "dpo_order")
    sources.delete_at_sources(service, at(17))
    assert sorted(exchange.deletes) == [PATH, "/r/2.wav"]


def test_p1_a_persons_withdrawal_reaches_it_as_well(service: Service, exchange: Exchange) -> None:
    failed(service, exchange)
    erasure.withdraw(service, only(service).id, Actor("ses_1", "customer"), at(60))
    is_gone(service, exchange, at(61))


def test_an_address_off_the_list_is_never_asked(service: Service, exchange: Exchange) -> None:
    story = Story(service, START)
    story.begin()
    story.record()
    story.consent()
    story.end(10)
    with exchanges.running() as other:
        other.recordings[PATH] = WHOLE
        story.available(other.origin + PATH, 12)
        capture.capture_due(service, at(13))
        assert other.gets == []
    assert (only(service).state, only(service).reason) == ("failed", "media_refused")
