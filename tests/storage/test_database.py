from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import Database, WriteLock
from storage.errors import ConfigurationError, DatabaseFullError, DatabaseUnavailableError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    opened = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    return opened


def _count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM t")).scalar_one())


def test_a_write_commits_whole_or_not_at_all(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(ValueError, match="stop"), database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
        raise ValueError("stop")

    assert _count(database) == 1


def test_what_a_read_writes_is_not_kept(database: Database) -> None:
    with database.read() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))

    assert _count(database) == 0


def test_a_write_inside_a_write_fails_instead_of_waiting_for_itself(database: Database) -> None:
    with database.write(), pytest.raises(RuntimeError, match="inside"), database.write():
        pass

    with database.write():
        pass  # the lock was given back


def test_acceptance_overtakes_those_who_wait() -> None:
    lock, order = WriteLock(), []
    waiting = threading.Barrier(3)

    def take(name: str, *, accepting: bool) -> None:
        waiting.wait()
        with lock.hold(accepting=accepting):
            order.append(name)

    with lock.hold(accepting=False):
        threads = [
            threading.Thread(target=take, args=("apply",), kwargs={"accepting": False}),
            threading.Thread(target=take, args=("webhook",), kwargs={"accepting": True}),
        ]
        for thread in threads:
            thread.start()
        waiting.wait()
        while not lock._accepting:
            pass  # both are past the barrier; the webhook is counted before it waits
    for thread in threads:
        thread.join()

    assert order == ["webhook", "apply"]


def test_connections_to_a_new_database_may_meet(tmp_path: Path) -> None:
    """Each switches the journal, which SQLite refuses at once while another does."""
    opened = [Database(f"sqlite:///{tmp_path / 'new.sqlite'}") for _ in range(12)]
    faults: list[BaseException] = []

    def connect(database: Database) -> None:
        try:
            with database.read() as connection:
                assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        except BaseException as exc:  # noqa: BLE001 -- told to the test
            faults.append(exc)

    threads = [threading.Thread(target=connect, args=(database,)) for database in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_a_full_database_is_told_apart(database: Database) -> None:
    with pytest.raises(DatabaseFullError), database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        for _ in range(10_000):
            connection.execute(text("INSERT INTO t VALUES (123456789)"))


def test_a_database_that_is_away_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()

    with pytest.raises(DatabaseUnavailableError), Database(f"sqlite:///{tmp_path / 'folder.sqlite'}").write():
        pass


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="file"):
        Database("sqlite:///:memory:")
