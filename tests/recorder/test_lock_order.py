"""Calls that came out of one another are locked all, and in one order, before anything of one of them is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from recorder import erasure, subject_requests
from recorder.ports import Service
from storage.catalogue import calls, erasing, holds, recordings
from storage.catalogue.calls import Leg
from storage.catalogue.erasing import Order
from storage.clock import new_id
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, request_row
from tests.recorder.stored import store, store_call

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture(params=["postgresql"])  # SQLite has one writer
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_who_works_on_a_linked_call_is_waited_for_with_nothing_of_its_own_locked(
    service: Service, clock: MovingClock
) -> None:
    one, other = (store(service, clock.now, call=store_call(service, clock.now)) for _ in range(2))
    with service.database.write() as connection:
        calls.add_leg(connection, Leg(new_id("leg"), one.call_id, parent_call_id=other.call_id))

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, other.call_id)
            withdrawn = pool.submit(erasure.withdraw, service, one.id, DPO, clock.now)
            while not connection.execute(WAITING).scalar_one():
                pass
            assert recordings.lock(connection, other.id) is not None
        assert withdrawn.result().certificates


def test_a_request_ends_though_what_it_held_is_erased_at_that_moment(service: Service, clock: MovingClock) -> None:
    held = store(service, clock.now)
    request = ask(service, clock)

    with ThreadPoolExecutor(1) as pool:
        with service.database.write() as connection:
            calls.lock(connection, held.call_id)
            refused = pool.submit(subject_requests.refuse, service, request.id, DPO, clock.now)
            while not connection.execute(WAITING).scalar_one():
                pass
            erasing.claim(connection, [held.id], Order("ordered", "dpo", clock.now), clock.now, expiring=False)
            holds.release_all(connection, [held.id], DPO.id, clock.now)
        refused.result()
    assert request_row(service, request.id).state == "refused"
