"""A job runs when rung, never twice at a time, and its lease keeps other replicas away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from recorder.errors import BrakeError, LeaseLostError
from recorder.jobs.runners import LEASE_SECONDS, Job, Leases, Runner, Work
from recorder.ports import Service
from storage.catalogue import forecast, leases
from storage.errors import DatabaseBusyError, DatabaseUnavailableError, IntegrityError
from tests import rows
from tests.conftest import MovingClock

WAIT = 10  # seconds a test waits for another thread before it fails


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def runner(service: Service, pool: ThreadPoolExecutor, work: Work, *, alone: bool = False) -> Runner:
    return Runner(service, Job("test", 60, work, alone=alone), pool, Leases(service))


def test_a_ring_during_a_run_is_not_lost(service: Service, pool: ThreadPoolExecutor) -> None:
    started, go_on, second = threading.Event(), threading.Event(), threading.Event()
    runs = []

    def work(_: Service) -> bool:
        runs.append(1)
        if len(runs) == 1:
            started.set()
            assert go_on.wait(WAIT)
        else:
            second.set()
        return False

    job = runner(service, pool, work)
    job.ring()
    assert started.wait(WAIT)
    for _ in range(5):
        job.ring()
    assert len(runs) == 1
    go_on.set()
    assert second.wait(WAIT)
    pool.shutdown()
    assert len(runs) == 2


def test_a_full_batch_goes_on_at_once(service: Service, pool: ThreadPoolExecutor) -> None:
    left = [True, True, False]
    job = runner(service, pool, lambda _: left.pop(0))
    job.ring()
    pool.shutdown()
    assert left == []


@pytest.mark.parametrize("error", [RuntimeError("broken"), BrakeError("3 due, 1 foreseen")])
def test_a_job_that_fails_runs_again_when_rung(service: Service, pool: ThreadPoolExecutor, error: Exception) -> None:
    failed, done = threading.Event(), threading.Event()

    def work(_: Service) -> bool:
        if not failed.is_set():
            failed.set()
            raise error
        done.set()
        return False

    job = runner(service, pool, work)
    job.ring()
    assert failed.wait(WAIT)
    job.ring()
    assert done.wait(WAIT)


AWAY, BUSY, BRAKE = DatabaseUnavailableError(), DatabaseBusyError(), BrakeError("3 due, 1 foreseen")
BUG, DAMAGE = RuntimeError("broken"), IntegrityError()


def told(service: Service, outcomes: list[Exception | None]) -> list[tuple[str, str, str | None, bool]]:
    """The lines of a job whose runs end so, one after the other: event, level, code, and whether with a traceback."""
    left = iter(outcomes)

    def work(_: Service) -> bool:
        if error := next(left):
            raise error
        return False

    with ThreadPoolExecutor(1) as pool, capture_logs() as lines:
        job = runner(service, pool, work)
        for _ in outcomes:
            job.ring()
            pool.submit(str).result(WAIT)  # its only thread has done with the job
    return [(one["event"], one["log_level"], one.get("code"), "exc_info" in one) for one in lines]


@pytest.mark.parametrize("error", [AWAY, BRAKE, LeaseLostError()])
def test_what_stands_in_the_way_is_one_line_until_it_is_gone(service: Service, error: Exception) -> None:
    stopped, recovered = ("job.stopped", "warning", error.code, False), ("job.recovered", "info", None, False)

    assert told(service, [None, error, error, error, None, None, error]) == [stopped, recovered, stopped]


def test_another_thing_in_the_way_is_another_line(service: Service) -> None:
    assert [code for _, _, code, _ in told(service, [AWAY, AWAY, BUSY, BUSY, AWAY])] == [
        "database_unavailable",
        "database_busy",
        "database_unavailable",
    ]


@pytest.mark.parametrize("error", [BUG, DAMAGE])
def test_what_nobody_foresaw_keeps_its_traceback_each_time(service: Service, error: Exception) -> None:
    failed = ("job.failed", "error", None, True)

    assert told(service, [error, error]) == [failed, failed]
    assert told(service, [AWAY, error, AWAY])[1] == failed


def test_a_lease_that_is_not_renewed_while_the_database_is_away_is_one_line(service: Service) -> None:
    away = threading.Event()

    def door(_: Connection) -> None:
        if away.is_set():
            raise AWAY

    ours = Leases(replace(service, database=service.database.fenced(door)))
    with ours.taken("test"), capture_logs() as lines:
        away.set()
        ours.renew()
        away.clear()
    assert [(one["event"], one["log_level"], one["code"], "exc_info" in one) for one in lines] == [
        ("lease.not_renewed", "warning", "database_unavailable", False)
    ]


def test_one_that_is_stopped_starts_nothing(service: Service, pool: ThreadPoolExecutor) -> None:
    ran = threading.Event()
    job = runner(service, pool, lambda _: bool(ran.set()))
    job.stop()
    job.ring()
    pool.shutdown()
    assert not ran.is_set()


def test_two_replicas_never_run_a_lonely_job_together(service: Service, pool: ThreadPoolExecutor) -> None:
    inside, leave = threading.Event(), threading.Event()

    def first(_: Service) -> bool:
        inside.set()
        assert leave.wait(WAIT)
        return False

    ours = runner(service, pool, first, alone=True)
    ours.ring()
    assert inside.wait(WAIT)
    with Leases(service).taken("test") as taken:
        assert not taken
    leave.set()
    pool.shutdown()
    with Leases(service).taken("test") as taken:
        assert taken


def test_a_lease_is_renewed_while_the_work_takes(service: Service, clock: MovingClock) -> None:
    ours, theirs = Leases(service), Leases(service)
    with ours.taken("test") as taken:
        assert taken
        for _ in range(3):
            clock.advance(seconds=LEASE_SECONDS - 1)
            ours.renew()
        with theirs.taken("test") as other:
            assert not other


def test_a_lease_that_cannot_be_renewed_keeps_no_other_from_being(service: Service, clock: MovingClock) -> None:
    ours, theirs = Leases(service), Leases(service)
    with ours.taken("stuck"), ours.taken("test"):
        rows.refuse(service.database, "UPDATE", "leases", when="NEW.name = 'stuck'")
        clock.advance(seconds=LEASE_SECONDS - 1)
        ours.renew()
        rows.allow(service.database, "leases")
        clock.advance(seconds=LEASE_SECONDS - 1)
        with theirs.taken("test") as other:
            assert not other


def test_a_killed_replica_is_followed_after_its_lease(service: Service, clock: MovingClock) -> None:
    with service.database.write() as connection:
        assert leases.take(connection, "test", "killed", clock.now, LEASE_SECONDS) is not None
    with Leases(service).taken("test") as taken:
        assert not taken
    clock.advance(seconds=LEASE_SECONDS)
    with Leases(service).taken("test") as taken:
        assert taken


def test_p6_who_sleeps_past_its_lease_changes_nothing_any_more(service: Service, clock: MovingClock) -> None:
    ours, theirs = Leases(service), Leases(service)
    with ours.taken("test") as sleeper:
        assert sleeper is not None
        with sleeper.database.write() as connection:
            forecast.adjust(connection, "20261201", 1)
        clock.advance(seconds=LEASE_SECONDS + 1)
        with sleeper.database.write() as connection:  # late, but nobody has come
            forecast.adjust(connection, "20261201", 1)
        with theirs.taken("test") as other:
            assert other is not None
            with pytest.raises(LeaseLostError), sleeper.database.write() as connection:
                forecast.adjust(connection, "20261201", 1)
            with other.database.write() as connection:
                forecast.adjust(connection, "20261201", 1)
        with pytest.raises(LeaseLostError), sleeper.database.write():
            pass
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261201") == 3
    with theirs.taken("test") as other:
        assert other is not None
