from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import TIDY_EVERY, Database
from storage.errors import ConfigurationError, DatabaseFullError, DatabaseUnavailableError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'x.sqlite'}")) as opened:
        with opened.write() as connection:
            connection.execute(text("CREATE TABLE t (n INTEGER)"))
        yield opened


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


def test_p6_only_what_may_be_done_again_does_not_wait_for_the_disk(database: Database) -> None:
    """The log of the database is flushed at a lasting commit, with all that came before it."""
    asked = "PRAGMA synchronous"
    with database.write(lasting=False) as connection:
        assert connection.exec_driver_sql(asked).scalar_one() == 1  # NORMAL
    with database.write() as connection:
        assert connection.exec_driver_sql(asked).scalar_one() == 2  # FULL, though it is the same connection
    with database.write(accepting=True) as connection:
        assert connection.exec_driver_sql(asked).scalar_one() == 2


def test_p6_a_flush_puts_what_was_not_lasting_on_the_disk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino))
    with database.write(lasting=False) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    database.flush()

    assert flushed == [(tmp_path / "x.sqlite-wal").stat().st_ino]


def test_a_write_without_a_statement_is_over_when_its_block_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database.TIDY_EVERY", 1)  # the log cannot be copied in the middle of a transaction
    with database.write():
        pass
    with pytest.raises(ValueError, match="stop"), database.write():
        raise ValueError("stop")
    with database.write():
        pass


def test_the_write_ahead_log_does_not_grow_for_ever(database: Database, tmp_path: Path) -> None:
    log, sizes = tmp_path / "x.sqlite-wal", set()
    for round_ in range(6 * TIDY_EVERY):
        with database.write(accepting=bool(round_ % 2), lasting=False) as connection:
            connection.execute(text("INSERT INTO t VALUES (randomblob(3000))"))
        sizes.add(log.stat().st_size)

    assert max(sizes) < 4 * 2 * TIDY_EVERY * 4096


def test_p2_erased_rows_leave_the_log_when_the_last_reader_of_them_has_gone(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES ('personal')"))
    reading, go_on = threading.Event(), threading.Event()

    def read() -> None:
        with database.read() as connection:
            connection.execute(text("SELECT * FROM t")).all()
            reading.set()
            assert go_on.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(10)
    with database.write() as connection:
        connection.execute(text("DELETE FROM t"))
    forgetting = threading.Thread(target=database.forget)
    forgetting.start()
    with database.write(accepting=True):
        go_on.set()  # a webhook is taken in meanwhile
    forgetting.join()
    reader.join()

    assert (tmp_path / "x.sqlite-wal").stat().st_size == 0


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
    for database in opened:
        database.close()

    assert faults == []


def test_p2_a_new_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with closing(Database(f"sqlite:///{tmp_path / 'new.sqlite'}")) as new, new.write() as connection:
            connection.execute(text("CREATE TABLE t (n INTEGER)"))
            files = sorted(tmp_path.iterdir())
            assert [path.name for path in files if path.suffix in {".sqlite", ".sqlite-wal"}]
            assert {path.name: path.stat().st_mode & 0o077 for path in files} == dict.fromkeys(
                (path.name for path in files), 0
            )
    finally:
        os.umask(before)


def test_a_full_database_is_told_apart(database: Database) -> None:
    with pytest.raises(DatabaseFullError), database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        for _ in range(10_000):
            connection.execute(text("INSERT INTO t VALUES (123456789)"))


def test_a_database_that_is_away_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()

    with closing(Database(f"sqlite:///{tmp_path / 'folder.sqlite'}")) as away:  # noqa: SIM117
        with pytest.raises(DatabaseUnavailableError), away.write():
            pass


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="file"):
        Database("sqlite:///:memory:")


def test_who_gives_way_offers_the_processor_after_every_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers: list[int] = []
    monkeypatch.setattr(os, "sched_yield", lambda: offers.append(1), raising=False)
    assert _count(database) == 0
    assert offers == []

    database.give_way()
    assert _count(database) == 0

    assert offers
