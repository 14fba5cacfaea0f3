"""Leases, tasks, marks once seen, the forecast, and inserting what is new."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.catalogue import forecast, leases, seen, tasks
from storage.catalogue.tasks import Task
from storage.catalogue.upsert import insert_new
from storage.database import Database
from storage.tables import ForecastRow, SeenRow

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_lease_is_one_owners_until_it_runs_out(database: Database) -> None:
    with database.write() as connection:
        assert leases.take(connection, "sweep", "a", NOW) == 1
        assert leases.take(connection, "sweep", "b", NOW + 59 * SECOND) is None
        assert leases.take(connection, "sweep", "a", NOW + 59 * SECOND) is None
        assert leases.take(connection, "other", "b", NOW) == 1
        assert leases.take(connection, "sweep", "b", NOW + 60 * SECOND) == 2


def test_a_renewed_lease_lasts_longer(database: Database) -> None:
    with database.write() as connection:
        fence = leases.take(connection, "sweep", "a", NOW)
        assert fence is not None
        assert leases.renew(connection, "sweep", "a", fence, NOW + 50 * SECOND)
        assert leases.take(connection, "sweep", "b", NOW + 109 * SECOND) is None
        assert leases.take(connection, "sweep", "b", NOW + 110 * SECOND) == fence + 1


def test_p6_a_sleeper_finds_its_lease_gone(database: Database) -> None:
    with database.write() as connection:
        old = leases.take(connection, "sweep", "a", NOW)
        new = leases.take(connection, "sweep", "b", NOW + 60 * SECOND)
        assert old is not None
        assert new is not None

        assert not leases.held(connection, "sweep", "a", old)
        assert not leases.renew(connection, "sweep", "a", old, NOW + 61 * SECOND)
        leases.release(connection, "sweep", "a", old, NOW + 61 * SECOND)
        assert leases.held(connection, "sweep", "b", new)


def test_p6_a_lease_taken_again_by_its_owner_has_another_fence(database: Database) -> None:
    with database.write() as connection:
        old = leases.take(connection, "sweep", "a", NOW)
        new = leases.take(connection, "sweep", "a", NOW + 60 * SECOND)
        assert old is not None

        assert (old, new) == (1, 2)
        assert not leases.held(connection, "sweep", "a", old)


def test_a_lease_given_back_is_free_at_once_and_for_good(database: Database) -> None:
    with database.write() as connection:
        fence = leases.take(connection, "sweep", "a", NOW)
        assert fence is not None
        leases.release(connection, "sweep", "a", fence, NOW + SECOND)

        assert not leases.renew(connection, "sweep", "a", fence, NOW + SECOND)
        assert leases.take(connection, "sweep", "b", NOW + SECOND) == 2


def test_p6_of_many_at_once_one_takes_the_lease(database: Database) -> None:
    fences: list[int | None] = []

    def compete(owner: str) -> None:
        with database.write() as connection:
            fences.append(leases.take(connection, "sweep", owner, NOW))

    threads = [threading.Thread(target=compete, args=(f"o{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fences, key=str) == [1] + [None] * 11


def test_a_task_is_open_once(database: Database) -> None:
    with database.write() as connection:
        assert tasks.open_task(connection, "class_unknown", "rec_1", NOW)
        assert not tasks.open_task(connection, "class_unknown", "rec_1", NOW + SECOND)
        assert tasks.open_task(connection, "class_unknown", "rec_2", NOW + SECOND)
        assert tasks.open_task(connection, "capture_failed", "rec_1", NOW - SECOND)
        found = tasks.open_tasks(connection)

    assert [(task.kind, task.subject_id, task.opened_at) for task in found] == [
        ("capture_failed", "rec_1", NOW - SECOND),
        ("class_unknown", "rec_1", NOW),
        ("class_unknown", "rec_2", NOW + SECOND),
    ]
    assert all(isinstance(task, Task) and task.id.startswith("tsk_") for task in found)


def test_a_closed_task_may_open_again(database: Database) -> None:
    with database.write() as connection:
        tasks.open_task(connection, "class_unknown", "rec_1", NOW)
        assert tasks.close_task(connection, "class_unknown", "rec_1", "tok_1", NOW)
        assert not tasks.close_task(connection, "class_unknown", "rec_1", "tok_1", NOW)
        assert tasks.open_tasks(connection) == []

        assert tasks.open_task(connection, "class_unknown", "rec_1", NOW)
        assert len(tasks.open_tasks(connection)) == 1


def test_a_mark_is_seen_until_it_is_forgotten(database: Database) -> None:
    with database.write() as connection:
        assert not seen.has(connection, b"m")
        assert seen.add(connection, b"m", "call", NOW)
        assert not seen.add(connection, b"m", "call", NOW + SECOND)
        assert seen.has(connection, b"m")

        assert seen.forget_before(connection, NOW) == 0
        assert seen.forget_before(connection, NOW + SECOND) == 1
        assert not seen.has(connection, b"m")


def test_marks_are_forgotten_a_portion_at_a_time(database: Database) -> None:
    with database.write() as connection:
        for number in range(5):
            seen.add(connection, bytes([number]), "recording", NOW)

        assert [seen.forget_before(connection, NOW + SECOND, limit=3) for _ in range(3)] == [3, 2, 0]


def test_the_forecast_counts_up_and_down(database: Database) -> None:
    with database.write() as connection:
        assert forecast.expected(connection, "20261202") == 0
        for delta in (1, 1, 3, -2):
            forecast.adjust(connection, "20261202", delta)
        forecast.adjust(connection, "20261203", 1)

        assert forecast.expected(connection, "20261202") == 3
        assert forecast.forget_before(connection, "20261203") == 1
        assert forecast.expected(connection, "20261202") == 0
        assert forecast.expected(connection, "20261203") == 1


def test_p6_the_forecast_loses_no_count_of_many_at_once(database: Database) -> None:
    def count() -> None:
        for _ in range(10):
            with database.write() as connection:
                forecast.adjust(connection, "20261202", 1)

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as connection:
        assert forecast.expected(connection, "20261202") == 60


def test_only_what_is_new_is_inserted_and_returned(database: Database) -> None:
    table = SeenRow.__table__
    rows = [{"mark": mark, "kind": kind, "seen_at": NOW} for mark, kind in ((b"a", "x"), (b"b", "x"), (b"a", "y"))]
    with database.write() as connection:
        seen.add(connection, b"b", "old", NOW)

        inserted = insert_new(connection, table, rows, conflict=["mark"], returning=[table.c.mark, table.c.kind])
        again = insert_new(connection, table, rows, conflict=["mark"])
        nothing = insert_new(connection, table, [], conflict=["mark"])
        kinds = connection.execute(text("SELECT kind FROM seen ORDER BY kind")).scalars().all()

    assert [tuple(row) for row in inserted] == [(b"a", "x")]
    assert (again, nothing) == ([], [])
    assert kinds == ["old", "x"]


def test_a_row_that_clashes_elsewhere_is_still_an_error(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_new(connection, ForecastRow.__table__, [{"day": "20261202", "due": None}], conflict=["day"])
