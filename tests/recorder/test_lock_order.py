"""Calls that came out of one another are locked all, and in one order, before anything of one of them is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from recorder import capture, erasure, holds, jobs, subject_requests, sweep
from recorder.calls import Round, apply_call, apply_pending, intake, settling
from recorder.capture import attempting
from recorder.consent.spans import WHOLE
from recorder.delivery import bounces
from recorder.errors import DeliveryRefusedError
from recorder.ports import Service
from storage import inbox
from storage.catalogue import calls, erasing, evidence, links, recordings
from storage.catalogue import holds as hold_rows
from storage.catalogue.calls import Leg
from storage.catalogue.erasing import Order
from storage.catalogue.recordings import Recording
from storage.clock import new_id
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, link_rows, matches, request_row
from tests.recorder.post import deliver_due
from tests.recorder.stored import store, store_call
from tests.recorder.telling import an_event, available, its_recordings, started, tell, the_call, whole_story

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture(params=["postgresql"])  # SQLite has one writer
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def until_it_waits(connection: Connection, act: Future[Any]) -> None:
    while not act.done() and not connection.execute(WAITING).scalar_one():
        pass


def linked(service: Service, clock: MovingClock) -> tuple[Recording, Recording]:
    """Of two calls, one came out of the other; the second is the one that is locked first."""
    one, other = (store(service, clock.now, call=store_call(service, clock.now)) for _ in range(2))
    with service.database.write() as connection:
        calls.add_leg(connection, Leg(new_id("leg"), one.call_id, parent_call_id=other.call_id))
    return (one, other) if other.call_id < one.call_id else (other, one)


def test_who_works_on_a_linked_call_is_waited_for_with_nothing_of_its_own_locked(
    service: Service, clock: MovingClock
) -> None:
    one, other = linked(service, clock)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, other.call_id)
            withdrawn = pool.submit(erasure.withdraw, service, one.id, DPO, clock.now)
            until_it_waits(connection, withdrawn)
            assert recordings.lock(connection, other.id) is not None
        assert withdrawn.result().certificates


def test_whoever_waits_for_calls_has_all_that_were_linked_to_them_meanwhile(
    service: Service, clock: MovingClock
) -> None:
    stored = (store(service, clock.now, call=store_call(service, clock.now)) for _ in range(2))
    other, one = sorted(stored, key=lambda recording: recording.call_id)

    with ThreadPoolExecutor(1) as pool, service.database.write() as beside:
        with service.database.write() as connection:
            calls.lock(connection, one.call_id)
            withdrawn = pool.submit(erasure.withdraw, service, one.id, DPO, clock.now)
            until_it_waits(connection, withdrawn)
            calls.lock(beside, other.call_id)
            calls.add_leg(connection, Leg(new_id("leg"), one.call_id, parent_call_id=other.call_id))
        until_it_waits(beside, withdrawn)
        assert not withdrawn.done()
        calls.lock(beside, one.call_id)
    assert withdrawn.result().certificates


def test_p6_events_of_a_call_that_another_worker_is_at_are_looked_at_again(
    service: Service, clock: MovingClock
) -> None:
    tell(service, started(clock.now))
    intake.submit(service, an_event("call.ended", clock.now), clock.now).result(10)

    with service.database.write() as connection:
        calls.lock(connection, the_call(service).id)
        assert apply_pending(service, clock.now) == Round(0, more=True)

    assert apply_pending(service, clock.now) == Round(1, more=False)


def test_who_looks_again_at_such_calls_draws_breath_first(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaths: list[float] = []
    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=breaths.append))
    tell(service, started(clock.now))
    intake.submit(service, an_event("call.ended", clock.now), clock.now).result(10)

    with service.database.write() as connection:
        calls.lock(connection, the_call(service).id)
        assert jobs._apply(service), "and so on, for as long as the other is paused"
        assert breaths == [jobs.APART_SECONDS]

    assert not jobs._apply(service)
    assert len(breaths) == 1


def test_a_capture_waits_for_a_linked_call_with_nothing_of_its_own_locked(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now), started(clock.now, call="pbx-82", parent_call_id="pbx-81"))
    tell(service, available(clock.now, recording="rec-1"), available(clock.now, recording="rec-2", call="pbx-82"))
    both = {name: the_call(service, name) for name in ("pbx-81", "pbx-82")}
    first, last = sorted(both, key=lambda name: both[name].id)
    (recording,) = its_recordings(service, both[last])
    intake.submit(service, an_event("consent.withdrawn", clock.now, call=last), clock.now).result(10)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, both[first].id)
            begun = pool.submit(attempting.begin, service, recording, clock.now, pushed=True)
            until_it_waits(connection, begun)
            calls.lock(connection, both[last].id)
        assert begun.result() == "wait"


def test_p1_a_no_said_while_its_call_is_being_linked_reaches_what_is_stored_of_the_other(
    service: Service, clock: MovingClock
) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story, started(clock.now, call="pbx-82"))
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        everything = {"keep": [list(span) for span in WHOLE], "mute": []}
        recordings.change(connection, recording.id, state="stored", spans=everything, next_try_at=None)
    withdrawn = an_event("consent.withdrawn", clock.now, call="pbx-82")
    intake.submit(service, withdrawn, clock.now).result(10)
    named = inbox.ref(service.keyring, "standard", "pbx-82")

    with service.database.write() as connection:
        apply_call(service, connection, named, clock.now)
        tell(service, an_event("call.updated", clock.now, parent_call_id="pbx-82"))
        capture.capture_due(service, clock.now)  # what the link alone has to say of it
    tell(service)
    capture.capture_due(service, clock.now)

    with service.database.read() as connection:
        assert recordings.get(connection, recording.id) is None


def claimed(connection: Connection, both: list[Recording], now: datetime) -> None:
    assert len(erasure.claim_due(connection, [one.id for one in both], DPO, now)) == len(both)


def looked_at_again(connection: Connection, both: list[Recording], now: datetime) -> None:
    recordings.look_again(connection, [one.call_id for one in both], now)


@pytest.mark.parametrize("act", [claimed, looked_at_again])
def test_of_several_recordings_the_first_is_waited_for_with_no_other_locked(
    service: Service, clock: MovingClock, act: Callable[[Connection, list[Recording], datetime], None]
) -> None:
    """As by whoever brings a shorter policy to a whole class, recording by recording."""
    both = [store(service, clock.now) for _ in range(2)]
    while both[0].id < both[1].id:  # the database comes upon the other one first
        both = [*both[1:], store(service, clock.now)]
    last, first = both
    clock.advance(days=91)

    def acting() -> None:
        with service.database.write() as connection:
            act(connection, both, clock.now)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            recordings.lock(connection, first.id)
            acted = pool.submit(acting)
            until_it_waits(connection, acted)
            recordings.lock(connection, last.id)
        acted.result()


def test_a_sweep_leaves_a_call_that_is_linked_to_one_somebody_works_on(service: Service, clock: MovingClock) -> None:
    due, other = linked(service, clock)
    clock.advance(days=91)

    with service.database.write() as connection:
        calls.lock(connection, other.call_id)
        with service.database.write() as beside:
            assert erasure.claim_due(beside, [due.id], DPO, clock.now) == []
        calls.lock(connection, due.call_id)
    with service.database.write() as connection:
        assert len(erasure.claim_due(connection, [due.id], DPO, clock.now)) == 1


def test_a_call_that_is_linked_to_one_somebody_works_on_is_settled_later(service: Service, clock: MovingClock) -> None:
    due, other = linked(service, clock)
    with service.database.write() as connection:
        calls.change(connection, due.call_id, settle_at=clock.now)
        recordings.change(connection, due.id, state="discarded")
    settling.classify(service, due.call_id, clock.now)

    states = []
    with service.database.write() as connection:
        calls.lock(connection, other.call_id)
        settling.settle(service, clock.advance(days=2))
        states += [one.state for one in calls.many(connection, [due.call_id]).values()]
    settling.settle(service, clock.now)
    with service.database.read() as connection:
        states += [one.state for one in calls.many(connection, [due.call_id]).values()]
    assert states == ["over", "blank"]


def test_a_key_takes_its_calls_with_all_that_are_linked_to_them_locked(service: Service, clock: MovingClock) -> None:
    due, other = linked(service, clock)
    clock.advance(days=2)
    service.keyring.ensure(clock.now)
    holds.place(service, other.id, "legal", "case-7", DPO, clock.now)  # moves it to the key of a later day
    with service.database.write() as connection:
        recordings.change(connection, due.id, state="discarded", key_id=None, dek=None)
    clock.advance(days=89)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, other.call_id)
            swept = pool.submit(sweep.destroy_due_keys, service, clock.now)
            until_it_waits(connection, swept)
            calls.lock(connection, due.call_id)
        assert swept.result()
    with service.database.read() as connection:
        assert [one.call_id for one in evidence.consents_of(connection, [due.call_id, other.call_id])] == [
            other.call_id
        ] * 2


def test_a_request_ends_though_what_it_held_is_erased_at_that_moment(service: Service, clock: MovingClock) -> None:
    held = store(service, clock.now)
    request = ask(service, clock)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, held.call_id)
            refused = pool.submit(subject_requests.refuse, service, request.id, DPO, clock.now)
            until_it_waits(connection, refused)
            erasing.claim(connection, [held.id], Order("ordered", "dpo", clock.now), clock.now, expiring=False)
            hold_rows.release_all(connection, [held.id], DPO.id, clock.now)
        refused.result()
    assert request_row(service, request.id).state == "refused"


class Refusing:
    """Refuses a mail once its link is locked."""

    def __init__(self) -> None:
        self.sending, self.locked = threading.Event(), threading.Event()

    def send(self, _to: str, _message: bytes) -> None:
        self.sending.set()
        assert self.locked.wait(20)
        raise DeliveryRefusedError


def handed_over(service: Service, _message_id: str, now: datetime, courier: Refusing) -> None:
    courier.sending.set()
    deliver_due(service, now)


def refused(service: Service, _message_id: str, now: datetime, courier: Refusing) -> None:
    deliver_due(replace(service, mailer=courier), now)


def bounced(service: Service, message_id: str, now: datetime, courier: Refusing) -> None:
    courier.sending.set()
    assert courier.locked.wait(20)
    bounces.report(service, message_id, DPO, now)


@pytest.mark.parametrize("act", [handed_over, refused, bounced])
def test_a_link_is_waited_for_with_its_message_free(
    service: Service, clock: MovingClock, act: Callable[[Service, str, datetime, Refusing], None]
) -> None:
    """Whoever ends a link has its row, and then takes back its message."""
    courier, outbox = Refusing(), metadata.tables["outbox"]
    store(service, clock.now)
    request = ask(service, clock)
    chosen = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, chosen, "callback", DPO, clock.now)
    (link,) = link_rows(service, request.id)
    message = select(outbox.c.id).where(outbox.c.subject_id == link.id)
    with service.database.read() as connection:
        message_id = connection.execute(message).scalar_one()

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            if act is not refused:
                links.get(connection, link.id, lock=True)
            acted = pool.submit(act, service, message_id, clock.now, courier)
            assert courier.sending.wait(20)
            links.get(connection, link.id, lock=True)
            courier.locked.set()
            until_it_waits(connection, acted)
            assert connection.execute(message.with_for_update(skip_locked=True)).first() is not None
        acted.result()
