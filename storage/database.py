"""The database: one engine, two kinds of transaction.

On SQLite every write of the process passes one lock, and acceptance of webhooks goes first: SQLite has one writer
anyway, and waiting here is fair where its own busy loop is not. On PostgreSQL the lock is not taken.
Lock order everywhere: call, recording, audit counter last before commit.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from storage.errors import ConfigurationError, DatabaseFullError, DatabaseUnavailableError

BUSY_SECONDS = 10


class WriteLock:
    """A mutex in which whoever accepts webhooks overtakes everybody else.

    Taking it twice in one thread is a `RuntimeError`: a write inside a write would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._holder: int | None = None
        self._accepting = 0

    @contextmanager
    def hold(self, *, accepting: bool) -> Iterator[None]:
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError("a write inside a write")
        with self._condition:
            self._accepting += accepting
            while self._holder is not None or (self._accepting and not accepting):
                self._condition.wait()
            self._accepting -= accepting
            self._holder = me
        try:
            yield
        finally:
            with self._condition:
                self._holder = None
                self._condition.notify_all()


class Database:
    """Connections to one database. Thread-safe; `read` and `write` translate driver errors."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite:")
        self._lock = WriteLock()
        self.engine = _sqlite(url) if self.sqlite else _postgresql(url)

    @contextmanager
    def write(self, *, accepting: bool = False) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        if self.sqlite:
            with self._lock.hold(accepting=accepting), translated(), self.engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        else:
            with translated(), self.engine.begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot; nothing written in it is kept."""
        with translated(), self.engine.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    def server_time(self) -> datetime | None:
        """The database server's clock, where there is a server: a second opinion on ours."""
        if self.sqlite:
            return None
        with self.read() as connection:
            moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            return moment

    def forget(self) -> None:
        """Push erased rows out of SQLite's write-ahead log; `secure_delete` has already overwritten the pages."""
        if self.sqlite:
            with self._lock.hold(accepting=False), translated(), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.engine.dispose()


def _sqlite(url: str) -> Engine:
    path = url.removeprefix("sqlite:///")
    if not path or path == ":memory:":
        raise ConfigurationError("the database must be a file: it outlives the process")
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
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
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


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


def _postgresql(url: str) -> Engine:
    return create_engine(url, pool_size=12, max_overflow=4, pool_timeout=10, pool_pre_ping=True, hide_parameters=True)


@contextmanager
def translated() -> Iterator[None]:
    """Driver errors as ours: full, or away. Constraint violations pass through as SQLAlchemy's."""
    try:
        yield
    except OperationalError as exc:
        if _is_full(exc):
            raise DatabaseFullError from exc
        raise DatabaseUnavailableError from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise DatabaseUnavailableError from exc
        raise


def _is_full(exc: OperationalError) -> bool:
    if isinstance(exc.orig, sqlite3.OperationalError):
        return getattr(exc.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "disk is full" in str(exc.orig)
    return getattr(exc.orig, "sqlstate", None) == "53100" or getattr(exc.orig, "errno", None) == errno.ENOSPC
