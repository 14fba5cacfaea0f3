"""The inbox: what a platform tells us is sealed and on disk before we answer.

One writer takes whatever is queued, commits it in one transaction and only then settles the futures, so that a
hundred webhooks cost one flush of the disk. A row's body goes once it is applied; its dedupe mark stays 100 days.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update
from sqlalchemy.exc import SQLAlchemyError

from storage import columns
from storage.clock import EPOCH, MICROSECOND
from storage.database import Database, was_cut_off
from storage.errors import DatabaseUnavailableError, InboxFullError, RecorderError, StorageError
from storage.keyring import KeyRing
from storage.tables import InboxRow

inbox = InboxRow.__table__

MAX_BATCH = 500  # rows per transaction; more would hardly save a flush, and answers would only come later
GATHER_SECONDS = 0.0005  # under load the writer naps while events still pour in: fewer flushes, more answers
GATHER_ROUNDS = 10
QUIET_SECONDS = 0.02  # after so long without an event, the crowd is over
MAX_QUEUED = 5_000  # events waiting for the writer
MAX_QUEUED_BYTES = 64 * 2**20


class _Waiting(NamedTuple):
    platform: str
    call_ref: bytes
    dedupe: bytes
    body: bytes
    received_at: datetime
    future: Future[bool]


class _Sealed(NamedTuple):
    """A row as the driver takes it, in the order of `_COLUMNS`."""

    id: str
    platform: str
    dedupe: bytes
    call_ref: bytes
    received_at: int
    key_id: str
    body: bytes


_COLUMNS = "id, platform, dedupe, call_ref, received_at, key_id, body, state, tries"


@dataclass(frozen=True)
class InboxItem:
    """One accepted event; `body` is sealed, `Inbox.open_body` opens it."""

    id: str
    platform: str
    call_ref: bytes
    received_at: datetime
    tries: int
    key_id: str
    body: bytes


_NEW = select(*(inbox.c[name] for name in InboxItem.__dataclass_fields__)).where(inbox.c.state == "new")
_OLDEST = (
    _NEW.where(inbox.c.received_at > bindparam("after", type_=inbox.c.received_at.type))
    .order_by(inbox.c.received_at)
    .limit(bindparam("limit"))
)
_PENDING = (
    _NEW.where(inbox.c.call_ref.in_(bindparam("refs", expanding=True)))
    .order_by(inbox.c.received_at, inbox.c.id)
    .limit(bindparam("limit"))
)
_DONE = (
    update(inbox).where(inbox.c.id.in_(bindparam("ids", expanding=True))).values(state="done", body=None, key_id=None)
)


def ref(keyring: KeyRing, platform: str, value: str) -> bytes:
    """The HMAC that stands in our rows for a platform's own id of a call or recording."""
    return hmac.digest(keyring.service_key("refs"), f"{platform}\0{value}".encode(), "sha256")


def dedupe_mark(keyring: KeyRing, platform: str, key: str) -> bytes:
    """The HMAC by which an event is recognised, long after its body is gone."""
    return hmac.digest(keyring.service_key("dedupe"), f"{platform}\0{key}".encode(), "sha256")


class Inbox:
    """Takes events in. Thread-safe; the writer is a thread of its own between `start` and `close`."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._crowd = False
        self._closed = False
        self._writer = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        self._writer.start()

    def close(self) -> None:
        """Take nothing more, and return when all that was taken is settled."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._writer.ident is not None:
            self._writer.join()

    def submit(self, platform: str, call_ref: bytes, dedupe: bytes, body: bytes, received_at: datetime) -> Future[bool]:
        """Queue one event; the future says after the commit whether it was new, or fails with a `StorageError`.

        Handles personal data: `body` is plaintext and is sealed before it is written. Raises `InboxFullError` at
        once where too much is waiting or the inbox is closed. The future cannot be cancelled: the event is kept even if
        nobody listens any more.
        """
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._closed or len(self._queue) >= MAX_QUEUED or self._queued_bytes >= MAX_QUEUED_BYTES:
                raise InboxFullError
            self._queue.append(_Waiting(platform, call_ref, dedupe, body, received_at, future))
            self._queued_bytes += len(body)
            self._changed.notify()
        return future

    def open_body(self, item: InboxItem, now: datetime) -> bytes:
        """The plaintext of an event. Handles personal data. Raises `KeyDestroyedError` when it is 8 days old."""
        key = self._keyring.key(item.key_id, now)
        return columns.unwrap(key, item.body, table="inbox", column="body", row_id=item.id)

    @staticmethod
    def oldest(connection: Connection, limit: int, *, after: datetime | None = None) -> list[InboxItem]:
        """The oldest `limit` events not yet applied; with `after`, only of those received later than that.

        Locks nothing: whoever applies an event locks its call's row (lock order: call first).
        """
        return [InboxItem(*row) for row in connection.execute(_OLDEST, {"limit": limit, "after": after or EPOCH})]

    @staticmethod
    def pending(connection: Connection, *call_refs: bytes, limit: int = MAX_BATCH) -> list[InboxItem]:
        """The events not yet applied of a call known by these refs, oldest first."""
        return [InboxItem(*row) for row in connection.execute(_PENDING, {"refs": call_refs, "limit": limit})]

    @staticmethod
    def done(connection: Connection, ids: Sequence[str]) -> None:
        """Mark these as applied: their bodies go."""
        connection.execute(_DONE, {"ids": list(ids)})

    @staticmethod
    def failed(connection: Connection, inbox_id: str) -> None:
        """Note that this one cannot be applied: only `retry_failed` has it tried again. Its body stays with its key."""
        connection.execute(update(inbox).where(inbox.c.id == inbox_id).values(state="failed", tries=inbox.c.tries + 1))

    @staticmethod
    def tried(connection: Connection, inbox_id: str) -> None:
        """Count a try that failed: the event will be tried again. If there were tries, people may have been told."""
        connection.execute(update(inbox).where(inbox.c.id == inbox_id).values(tries=inbox.c.tries + 1))

    @staticmethod
    def retry_failed(connection: Connection) -> None:
        """Have everything that could not be applied tried once more: what was wrong may have been mended since."""
        mendable = inbox.c.state == literal_column("'failed'"), inbox.c.body.is_not(None)  # as in its partial index
        connection.execute(update(inbox).where(*mendable).values(state="new"))

    @staticmethod
    def forget_before(connection: Connection, moment: datetime, limit: int = 1000) -> int:
        """Forget at most `limit` events received before a moment; call again until it returns 0."""
        old = select(inbox.c.id).where(inbox.c.received_at < moment).limit(limit)
        return connection.execute(delete(inbox).where(inbox.c.id.in_(old))).rowcount

    def _run(self) -> None:
        while batch := self._take():
            self._keep(batch)

    def _take(self) -> list[_Waiting]:
        with self._changed:
            while not self._queue and not self._closed:
                if not self._changed.wait(QUIET_SECONDS if self._crowd else None):
                    self._say(crowd=False)
        self._gather()
        with self._changed:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
            self._queued_bytes -= sum(len(waiting.body) for waiting in batch)
        self._say(crowd=len(batch) > 1)
        return batch

    def _say(self, *, crowd: bool) -> None:
        if crowd != self._crowd:
            self._crowd = crowd
            self._database.crowd(present=crowd)

    def _gather(self) -> None:
        """Let a crowd assemble; an event that comes alone after one that came alone does not wait."""
        before = len(self._queue)
        if before <= 1 and not self._crowd:
            return
        for _ in range(GATHER_ROUNDS):
            time.sleep(GATHER_SECONDS)
            now = len(self._queue)
            if now == before or now >= MAX_BATCH:
                return
            before = now

    def _keep(self, batch: list[_Waiting]) -> None:
        """Commit a batch and settle its futures; one bad event fails alone."""
        rows, futures = [], []
        for waiting in batch:
            try:
                rows.append(self._seal(waiting))
                futures.append(waiting.future)
            except Exception as exc:  # noqa: BLE001 -- whatever it is goes to the one who waits; the writer lives on
                waiting.future.set_exception(_ours(exc))
        for future, outcome in zip(futures, self._outcomes(rows), strict=True):
            if isinstance(outcome, bool):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

    def _seal(self, waiting: _Waiting) -> _Sealed:
        received_at = (waiting.received_at - EPOCH) // MICROSECOND
        row_id = f"inb_{received_at:014x}{os.urandom(8).hex()}"  # in order of time: rows land side by side
        key = self._keyring.inbox_key(waiting.received_at)
        body = columns.wrap(key, waiting.body, table="inbox", column="body", row_id=row_id)
        return _Sealed(row_id, waiting.platform, waiting.dedupe, waiting.call_ref, received_at, key.id, body)

    def _outcomes(self, rows: list[_Sealed]) -> list[bool | RecorderError]:
        """Whether each row is new and durable, or why it is not."""
        if not rows:
            return []
        try:
            return list(self._insert(rows))
        except SQLAlchemyError as exc:  # the database is there and refuses something in the batch
            if len(rows) == 1:
                return [_ours(exc)]
            return [outcome for row in rows for outcome in self._outcomes([row])]
        except Exception as exc:  # noqa: BLE001 -- as above
            return [_ours(exc)] * len(rows)

    def _insert(self, rows: list[_Sealed]) -> list[bool]:
        try:
            return self._inserted(rows)
        except DatabaseUnavailableError as exc:
            if not was_cut_off(exc):
                raise
            return self._inserted(rows)  # rows the first try kept without saying so are found by their ids

    def _inserted(self, rows: list[_Sealed]) -> list[bool]:
        """One statement for all: each call into the driver hands the interpreter to the event loop and back."""
        place = "?" if self._database.sqlite else "%s"
        values = f"({', '.join([place] * 7)}, 'new', 0)"
        statement = f"INSERT INTO inbox ({_COLUMNS}) VALUES {', '.join([values] * len(rows))} ON CONFLICT DO NOTHING"  # noqa: S608 -- placeholders only
        with self._database.write(accepting=True) as connection:
            # In one order everywhere: two processes that insert the same two events must not wait for each other.
            parameters = tuple(value for row in sorted(rows, key=_by_mark) for value in row)
            if connection.exec_driver_sql(statement, parameters).rowcount == len(rows):
                return [True] * len(rows)
            ids = select(inbox.c.id).where(inbox.c.id.in_([row.id for row in rows]))
            new = set(connection.execute(ids).scalars())
        return [row.id in new for row in rows]


def _by_mark(row: _Sealed) -> bytes:
    return row.dedupe


def _ours(exc: Exception) -> RecorderError:
    if isinstance(exc, RecorderError):
        return exc
    error = StorageError("the event could not be kept")
    error.__cause__ = exc
    return error
