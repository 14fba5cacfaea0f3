"""What only a server can do: be away, be restarted, let two wait for each other, end the session of one who sleeps."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.errors import DatabaseBusyError, DatabaseUnavailableError
from storage.inbox import Inbox
from storage.keyring import KeyRing
from storage.migrations import migrate
from storage.objects_folder import FolderStore
from tests.conftest import MEMORY
from tests.servers.postgresql import Server, server

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def impatient(url: str) -> Iterator[Database]:
    """One that waits for a tenth of a second where others wait for ten."""
    database = Database(f"{url}&options=-c lock_timeout=100ms -c idle_in_transaction_session_timeout=100ms")
    yield database
    database.close()


@pytest.fixture
def doomed() -> Iterator[Server]:
    """A server that may be stopped without harm to other tests."""
    folder = Path(tempfile.mkdtemp(prefix="recorder-pg-", dir=MEMORY))
    with server(folder) as running:
        yield running
    shutil.rmtree(folder)


def foresee(connection: Connection, day: str, due: int) -> None:
    """A row to lock, or a change to one."""
    statement = "INSERT INTO forecast VALUES (:day, :due) ON CONFLICT (day) DO UPDATE SET due = excluded.due"
    connection.execute(text(statement), {"day": day, "due": due})


def foreseen(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {row.day: row.due for row in connection.execute(text("SELECT day, due FROM forecast"))}


def test_every_wait_has_an_end(database: Database, impatient: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with database.write() as connection:
        said = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}
    with impatient.write() as connection:
        changed = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()

    assert said == {
        "statement_timeout": "1min",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "20s",
    }
    assert changed == "100ms"


def test_a_read_sees_one_moment_and_writes_nothing(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM forecast")).scalar_one()
        with database.write() as other:
            foresee(other, "20261201", 1)
        after = connection.execute(text("SELECT count(*) FROM forecast")).scalar_one()
    assert (before, after) == (0, 0)
    with pytest.raises(Exception, match="read-only"), database.read() as connection:
        foresee(connection, "20261202", 1)
    with database.write() as connection:
        foresee(connection, "20261202", 2)  # the connection was given back as it was
    assert foreseen(database) == {"20261201": 1, "20261202": 2}


def test_reading_leaves_prepared_what_was_prepared(database: Database) -> None:
    """psycopg throws everything away on a rollback, and would have each statement parsed anew after every read."""
    for _ in range(8):
        with database.read() as connection:
            connection.execute(text("SELECT due FROM forecast WHERE day = '20261201'"))
    with database.read() as connection:
        statements = connection.execute(text("SELECT statement FROM pg_prepared_statements")).scalars().all()

    assert any("20261201" in statement for statement in statements)


def test_of_two_who_wait_for_each_other_one_is_told_to_try_again(database: Database) -> None:
    with database.write() as connection:
        foresee(connection, "a", 0)
        foresee(connection, "b", 0)
    both = threading.Barrier(2)

    def change(first: str, second: str) -> bool:
        try:
            with database.write() as connection:
                foresee(connection, first, 1)
                both.wait(10)
                foresee(connection, second, 1)
        except DatabaseBusyError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(change, "ab", "ba"))

    assert sorted(done) == [False, True]


def test_a_lock_that_is_not_given_back_in_time_is_busy(database: Database, impatient: Database) -> None:
    with database.write() as connection:
        foresee(connection, "20261201", 1)
        with pytest.raises(DatabaseBusyError), impatient.write() as other:
            foresee(other, "20261201", 2)
    assert foreseen(database) == {"20261201": 1}


def test_p6_one_who_sleeps_in_a_transaction_keeps_nobody_waiting_and_changes_nothing(
    database: Database, impatient: Database
) -> None:
    """As a replica that is stopped with a row locked, and goes on when another has long had its work."""
    with pytest.raises(DatabaseUnavailableError), impatient.write() as sleeper:
        foresee(sleeper, "20261201", 1)
        with database.write() as connection:
            foresee(connection, "20261201", 2)  # waits until the sleeper's session is ended
        foresee(sleeper, "20261201", 3)
    assert foreseen(database) == {"20261201": 2}
    with impatient.write() as connection:
        foresee(connection, "20261202", 1)


def test_another_schema_is_no_fault_of_the_caller(database: Database) -> None:
    """Callers are connected when the database has nothing for us, whatever the reason."""
    with pytest.raises(DatabaseUnavailableError), database.write() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))


def test_acceptance_waits_for_no_connection(database: Database) -> None:
    held = [database.engine.connect() for _ in range(database.engine.pool.size() + database.engine.pool._max_overflow)]  # type: ignore[attr-defined] -- all there are
    with database.write(accepting=True) as connection:
        foresee(connection, "20261201", 1)
    for one in held:
        one.close()
    assert foreseen(database) == {"20261201": 1}


def taking_in(database: Database, folder: Path) -> Inbox:
    keyring = KeyRing(database, FolderStore(folder / "keys"), bytes(32))
    keyring.open(NOW)
    keyring.ensure(NOW)
    inbox = Inbox(database, keyring)
    inbox.start()
    return inbox


@pytest.fixture
def keeping(database: Database, tmp_path: Path) -> Iterator[Inbox]:
    inbox = taking_in(database, tmp_path)
    yield inbox
    inbox.close()


def test_p6_a_server_that_is_restarted_under_load_loses_nothing_it_was_told(doomed: Server, tmp_path: Path) -> None:
    database = Database(doomed.create())
    migrate(database)
    inbox = taking_in(database, tmp_path)
    stop, refused, answered = threading.Event(), threading.Event(), threading.Event()
    accepted: list[bytes] = []
    faults: list[BaseException] = []

    def platform(number: int) -> None:
        tries = 0
        while not stop.is_set():
            tries += 1
            key = f"{number}-{tries}".encode()
            future: Future[bool] = inbox.submit("standard", b"call", key, bytes(700), NOW)
            error = future.exception(60)
            if error is None:
                accepted.append(key)
                if refused.is_set():
                    answered.set()
            elif isinstance(error, DatabaseUnavailableError):
                refused.set()
            else:
                faults.append(error)

    with ThreadPoolExecutor(8) as pool:
        platforms = [pool.submit(platform, number) for number in range(8)]
        until(lambda: len(accepted) > 100)
        doomed.stop()
        assert refused.wait(30)
        with pytest.raises(DatabaseUnavailableError), database.read() as connection:
            connection.execute(text("SELECT 1"))
        doomed.start()
        assert answered.wait(30)  # the pool has noticed by itself
        stop.set()
    for one in platforms:
        one.result()
    inbox.close()

    assert faults == []
    with database.read() as connection:
        kept = set(connection.execute(text("SELECT dedupe FROM inbox")).scalars())
    assert set(accepted) <= kept
    database.close()


def test_p6_a_connection_that_was_ended_while_nothing_came_in_costs_no_event(
    keeping: Inbox, database: Database
) -> None:
    assert keeping.submit("standard", b"call", b"1", b"{}", NOW).result(10)
    with database.write() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ended = connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 5000) {others}").scalars().all()

    assert any(ended)
    assert keeping.submit("standard", b"call", b"2", b"{}", NOW).result(10)
    assert not keeping.submit("standard", b"call", b"1", b"{}", NOW).result(10)


def until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not true():
        waiting.wait(0.01)
