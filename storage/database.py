"""The database: one engine, two kinds of transaction.

On SQLite every write passes one lock, whatever process it is in, and acceptance of webhooks goes first: SQLite has one
writer anyway, and waiting here is fair where its own busy loop is not. On PostgreSQL there is no such lock, and
acceptance has a connection of its own. Lock order everywhere: lease, calls and all calls linked to them by their ids,
recordings by theirs, audit counter last before commit. A call found to be linked when others are locked already is
never waited for: it is locked at once, or everything is rolled back and done again (`catalogue.relatives`).
"""

from __future__ import annotations

import copy
import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage import postgresql
from storage.errors import (
    ConfigurationError,
    DatabaseBusyError,
    DatabaseFullError,
    DatabaseUnavailableError,
    DatabaseUnusableError,
)
from storage.writelock import WriteLock

BUSY_SECONDS = 10
PATIENCE_SECONDS = 0.05  # how long work that may wait lets crowds pass
READER_SECONDS = 0.02  # between two looks whether an old reader has gone
TIDY_EVERY = 1024  # background transactions between two copies of the write-ahead log: each delays a flush
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}  # on PostgreSQL; SQLite has no other
BACKSTOP_PAGES = 30_000  # of that log; beyond that even a webhook's commit must copy it


class Database:
    """Connections to one database. Thread-safe; `read` and `write` translate driver errors."""

    def __init__(self, url: str) -> None:
        """Raises `ConfigurationError` where the address cannot be read, or this user cannot open its files."""
        self.url = url
        self.sqlite = url.startswith("sqlite:")
        with _usable():
            self.engine = _sqlite(url) if self.sqlite else postgresql.engine(url)
            # Events are taken in whatever else is going on: on PostgreSQL they have a connection of their own.
            self._accepting = self.engine if self.sqlite else postgresql.engine(url, size=1, most=1, autocommit=True)
            self._lock = WriteLock(_path(url)) if self.sqlite else None
        self._reading = self.engine if self.sqlite else self.engine.execution_options(**SNAPSHOT)
        self._written = 0  # transactions since this process last emptied the write-ahead log
        self.fence: Callable[[Connection], None] | None = None

    def fenced(self, fence: Callable[[Connection], None]) -> Database:
        """The same database for whoever holds a lease: every transaction that writes begins by calling `fence`.

        Where the lease has gone to another, `fence` raises, and nothing is written. Shares connections and locks.
        """
        behind = copy.copy(self)
        behind.fence = fence
        return behind

    @contextmanager
    def write(self, *, accepting: bool = False, lasting: bool = True) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises.

        One that is not `lasting` is for work that may wait, that would be done again from rows that last, and of which
        nobody outside is told before `flush` (docs/adr/0013). It lets crowds of webhooks pass first, and its commit
        does not wait for the disk: a power failure may undo it, the death of the process does not.

        With `accepting`, webhooks are taken in: before everybody else, and on PostgreSQL each statement commits alone.
        """
        with self._writing(accepting=accepting, lasting=lasting) as connection:
            if self.fence is not None:
                self.fence(connection)
            yield connection

    @contextmanager
    def _writing(self, *, accepting: bool, lasting: bool) -> Iterator[Connection]:
        if self._lock is None:
            with translated(), (self._accepting if accepting else self.engine).begin() as connection:
                if not lasting:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                yield connection
            return
        if not lasting:
            self._lock.let_pass(PATIENCE_SECONDS)
        with translated(), self.engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            driver.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            with self._lock.hold(accepting=accepting):
                driver.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    driver.rollback()  # SQLAlchemy does nothing where nothing was executed; the lock is given back now
                    raise
                connection.commit()
                driver.commit()
            if not accepting:
                self._tidy(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot; nothing written in it is kept."""
        with translated(), self._reading.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            if self.sqlite:
                connection.rollback()
            else:
                connection.commit()  # nothing was written; a rollback would make psycopg drop its prepared statements

    def server_time(self) -> datetime | None:
        """The database server's clock, where there is a server: a second opinion on ours."""
        if self.sqlite:
            return None
        with self.read() as connection:
            moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            return moment

    def give_way(self) -> None:
        """From now on, offer the processor to others after every statement: for a process whose work may wait.

        Linux lets a running process finish its slice of some milliseconds, even if it is much nicer than one that wakes
        up meanwhile. Every answer to a webhook needs several wake-ups, and each of them would wait that long.
        """
        if offer := getattr(os, "sched_yield", None):
            event.listen(self.engine, "after_cursor_execute", lambda *_: offer())

    def crowd(self, *, present: bool) -> None:
        """Say whether webhooks are coming in crowds: work that may wait, in any process, then lets them pass."""
        if self._lock is not None:
            self._lock.crowd(present=present)

    def flush(self) -> None:
        """Make every commit so far last. Holds nobody up."""
        if self._lock is None:
            with translated(), self.engine.begin() as connection:
                connection.execute(text("SELECT pg_current_xact_id()"))  # a transaction without an id writes no commit
            return
        with suppress(FileNotFoundError), Path(f"{_path(self.url)}-wal").open("rb") as log:
            os.fsync(log.fileno())

    def forget(self) -> None:
        """Push erased rows out of SQLite's write-ahead log; `secure_delete` has already overwritten the pages."""
        if self._lock is None:
            return
        deadline = time.monotonic() + BUSY_SECONDS
        with translated(), self.engine.connect() as connection, _not_waiting(connection):
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, with no lock held
            busy = True
            while busy and time.monotonic() < deadline:
                with self._lock.hold(accepting=False):
                    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
                if busy:  # somebody is reading an older state: webhooks must not wait for that
                    time.sleep(READER_SECONDS)

    def close(self) -> None:
        for engine in {self.engine, self._accepting}:
            engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _tidy(self, connection: Connection) -> None:
        """Now and then copy the write-ahead log into the database, once the lock is given back."""
        self._written += 1
        if self._written >= TIDY_EVERY:
            self._written = 0
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def _path(url: str) -> Path:
    path = url.removeprefix("sqlite:///")
    if not path or path == ":memory:":
        raise ConfigurationError("the database must be a file: it outlives the process")
    return Path(path)


@contextmanager
def _usable() -> Iterator[None]:
    """Say what is wrong with an address without repeating it: a password may stand anywhere in it."""
    try:
        yield
    except OSError as exc:
        raise ConfigurationError(f"the database's files cannot be opened by this user: {exc.strerror}") from exc
    except (ValueError, ArgumentError):
        told = "the database's address cannot be read; a password's : / ? # @ are written %3A %2F %3F %23 %40"
        raise ConfigurationError(told) from None


@contextmanager
def _not_waiting(connection: Connection) -> Iterator[None]:
    """Have SQLite say that it is busy at once, instead of waiting while we hold the write lock."""
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _sqlite(url: str) -> Engine:
    _path(url).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make(_path(url))
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=16,
        max_overflow=16,
        hide_parameters=True,  # a statement in a log must not carry what it was about
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are ours to begin
        _write_ahead(connection)
        for pragma in (
            f"wal_autocheckpoint={BACKSTOP_PAGES}",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _make(path: Path) -> None:
    """Create a new database for its owner alone; SQLite would let everybody read it, and its logs with it."""
    with suppress(OSError):  # where it cannot be made, opening it says why
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new database to its write-ahead log.

    SQLite does not wait for a process that is switching it at the same moment, whatever the busy timeout says.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def translated() -> Iterator[None]:
    """Driver errors as ours: full, busy, or away. Constraint violations pass through as SQLAlchemy's."""
    try:
        yield
    except PoolTimeoutError as exc:
        raise DatabaseBusyError from exc
    except (DBAPIError, sqlite3.OperationalError) as exc:
        if _is_full(getattr(exc, "orig", exc)):
            raise DatabaseFullError from exc
        if postgresql.is_busy(exc):
            raise DatabaseBusyError from exc
        if postgresql.is_unusable(exc):
            raise DatabaseUnusableError from exc
        if _is_away(exc):
            raise DatabaseUnavailableError from exc
        raise


def was_cut_off(error: DatabaseUnavailableError) -> bool:
    """Whether an established connection was lost: a new one may work at once."""
    return isinstance(error.__cause__, DBAPIError) and error.__cause__.connection_invalidated


def _is_full(exc: BaseException) -> bool:
    if isinstance(exc, sqlite3.OperationalError):
        return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "disk is full" in str(exc)
    return postgresql.is_full(exc) or getattr(exc, "errno", None) == errno.ENOSPC


def _is_away(exc: BaseException) -> bool:
    return not isinstance(exc, DBAPIError) or isinstance(exc, OperationalError) or exc.connection_invalidated
