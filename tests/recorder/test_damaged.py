"""A row whose sealed columns do not open, by a failing disk or somebody's hand: it hides no other, and goes on time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from recorder import erasure, finding, personal, sources, subject_requests, sweep
from recorder.actors import Actor
from recorder.finding import Query
from recorder.ports import Service
from storage.catalogue import recordings
from storage.catalogue.recordings import Recording
from storage.clock import new_id
from storage.errors import IntegrityError
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.stored import PHONE, row, store, store_call
from tests.recorder.telling import an_event, open_tasks

DPO = Actor("tok_dpo", "dpo")
CUSTOMER = Actor("lnk_anna", "customer")
RECORDINGS = metadata.tables["recordings"]
SOURCES = metadata.tables["source_deletions"]
NONSENSE = b"\x01" + bytes(60)


@pytest.fixture(params=["dek", "sealed"])
def column(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def damage(service: Service, recording_id: str, column: str) -> None:
    with service.database.write() as connection:
        connection.execute(update(RECORDINGS).where(RECORDINGS.c.id == recording_id).values({column: NONSENSE}))


def unfetched(service: Service, clock: MovingClock, state: str) -> Recording:
    """A recording that was announced and is not kept here, of a call with a yes."""
    call = store_call(service, clock.now)
    secret = personal.call_secret(service, call, clock.now)
    assert secret is not None
    one = Recording(new_id("rec"), call.id, "standard", ref=new_id("ref").encode(), state=state)
    one = replace(one, sealed=personal.seal(secret, "recordings", one.id, {"platform_recording_id": "r-1"}))
    with service.database.write() as connection:
        recordings.insert(connection, one)
    return one


def test_p6_one_damaged_row_hides_no_other(service: Service, clock: MovingClock, column: str) -> None:
    damaged, whole = store(service, clock.now), store(service, clock.now)
    damage(service, damaged.id, column)

    for query in (Query(), Query(phone=PHONE)):
        found = {
            one.recording.id: one.personal for one in finding.search(service, query, actor=DPO, now=clock.now).items
        }
        assert (found[whole.id]["phone"], found[damaged.id]["phone"]) == (PHONE, None)

    assert finding.look(service, damaged.id, actor=DPO, now=clock.now).personal["phone"] is None
    with pytest.raises(IntegrityError):
        personal.of_recording(service, store_call(service, clock.now), row(service, damaged.id), clock.now)


def test_p6_a_damaged_row_keeps_nobody_from_their_rights(service: Service, clock: MovingClock, column: str) -> None:
    damaged, whole = store(service, clock.now), store(service, clock.now)
    damage(service, damaged.id, column)

    wish = subject_requests.open_request(service, "withdrawal", phone=PHONE, actor=DPO, now=clock.now)
    subject_requests.approve(service, wish.id, [damaged.id, whole.id], "callback", DPO, clock.now)

    for one in (damaged, whole):
        assert erasure.certificate(service, one.id)["recording_id"] == one.id


@pytest.mark.parametrize("state", ["announced", "failed"])
def test_p3_what_is_damaged_before_it_is_fetched_goes_when_ordered(
    service: Service, clock: MovingClock, state: str
) -> None:
    one = unfetched(service, clock, state)
    damage(service, one.id, "sealed")

    erasure.erase(service, one.id, reason="ordered", actor=DPO, now=clock.now)

    with service.database.read() as connection:
        left = recordings.get(connection, one.id)
    assert left is None or left.state == "discarded"


def test_p3_a_withdrawal_reaches_a_call_one_of_whose_recordings_is_damaged(
    service: Service, clock: MovingClock
) -> None:
    one = unfetched(service, clock, "failed")
    damage(service, one.id, "sealed")

    assert erasure.withdraw(service, one.id, CUSTOMER, clock.now).waiting == []


def test_p3_what_is_damaged_goes_on_time(service: Service, clock: MovingClock, column: str) -> None:
    damaged, whole = store(service, clock.now), store(service, clock.now)
    damage(service, damaged.id, column)
    clock.advance(days=90)

    assert sweep.sweep(service, clock.now + timedelta(seconds=1), unattended=True).erased == 2
    assert all(erasure.certificate(service, one.id)["reason"] == "expired" for one in (damaged, whole))


@pytest.mark.parametrize("days", [0, 1], ids=["under today's key", "under yesterday's"])
def test_p1_one_damaged_note_of_a_copy_keeps_no_other_at_its_platform(
    service: Service, clock: MovingClock, days: int
) -> None:
    with service.database.write() as connection:
        for recording in ("r-1", "r-2"):
            told = an_event("recording.available", clock.now, recording_id=recording)
            sources.leave(service, connection, told, "unknown_call", clock.now)
        one = SOURCES.c.id == select(func.min(SOURCES.c.id)).scalar_subquery()
        connection.execute(update(SOURCES).where(one).values(body=NONSENSE, next_try_at=clock.now - timedelta(1)))
    clock.advance(days=days)
    service.keyring.ensure(clock.now)

    assert sources.delete_at_sources(service, clock.now) == 1
    clock.advance(days=7)
    sources.delete_at_sources(service, clock.now)
    assert [kind for kind, _ in open_tasks(service)] == [sources.FAILED]
