"""The record of acts: a gapless sequence of entries, each hashed as a leaf fit for an RFC 6962 tree.

An entry is appended in the transaction of the act itself, last before its commit: the counter row orders all
writers, and a rollback leaves no gap. Entries carry random ids and codes only, never anything personal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, insert, or_, select, update

from storage.catalogue.upsert import insert_new
from storage.clock import Instant, rfc3339
from storage.database import Database
from storage.tables import AuditHeadRow, AuditRow

audit = AuditRow.__table__
head = AuditHeadRow.__table__

_NOW = bindparam("now", type_=Instant)
_COUNTED = (
    update(head)
    .where(head.c.id == 1)
    .values(
        size=head.c.size + bindparam("count"), latest_at=case((head.c.latest_at > _NOW, head.c.latest_at), else_=_NOW)
    )
    .returning(head.c.size, head.c.latest_at)
)

PAGE = 1000
MAX_FAULTS = 1000  # enough to see what happened; a rewritten log would name every entry
MAX_INTEGER = 2**53 - 1  # RFC 8785 writes numbers as JavaScript does


@dataclass(frozen=True)
class Entry:
    """One act: what (`noun.verb_past`), by whom, on which thing; `body` holds codes, counts and random ids."""

    type: str
    actor: str
    subject: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    seq: int
    code: str  # missing | altered | unexpected | time_backwards | head_time


@dataclass(frozen=True)
class AuditReport:
    """The counter vouches for `size` entries; `faults` lists what does not fit, `MAX_FAULTS` at most."""

    size: int
    ok: bool
    faults: tuple[Fault, ...]


def append(
    connection: Connection,
    *,
    type: str,  # noqa: A002 -- the entry's own word
    actor: str,
    subject: str,
    body: dict[str, Any],
    now: datetime,
) -> int:
    """Append one entry as the last thing before the commit; returns its number."""
    return append_many(connection, [Entry(type, actor, subject, body)], now=now).start


def append_many(connection: Connection, entries: Sequence[Entry], *, now: datetime) -> range:
    """Append a run of entries as the last thing before the commit; returns their numbers.

    Their time is `now`, or the latest entry's time where a clock has gone back. Raises `ValueError` or
    `TypeError` for a body that two JSON writers would write differently.
    """
    if not entries:
        return range(0)
    bodies = [canonical(entry.body) for entry in entries]
    last, moment = _advance(connection, len(entries), now)
    numbers = range(last - len(entries) + 1, last + 1)
    rows = [
        {
            "seq": seq,
            "at": moment,
            "type": entry.type,
            "actor": entry.actor,
            "subject": entry.subject,
            "body": body,
            "leaf": leaf(entry_text(seq, moment, entry.type, entry.actor, entry.subject, body)),
        }
        for seq, entry, body in zip(numbers, entries, bodies, strict=True)
    ]
    connection.execute(insert(audit), rows)
    return numbers


def latest(connection: Connection) -> datetime | None:
    """When the latest entry was written."""
    return connection.execute(select(head.c.latest_at)).scalar_one_or_none()


def size(connection: Connection) -> int:
    """How many entries there are."""
    return connection.execute(select(head.c.size)).scalar() or 0


def after(connection: Connection, seq: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Number, type, subject and body of the entries that follow one, `limit` at most."""
    columns = audit.c.seq, audit.c.type, audit.c.subject, audit.c.body
    entries = select(*columns).where(audit.c.seq > seq).order_by(audit.c.seq)
    return [(row.seq, row.type, row.subject, row.body) for row in connection.execute(entries.limit(limit))]


def canonical(value: object) -> str:
    """JSON as RFC 8785 has it, for the values entries use: text, whole numbers, booleans, null, lists, objects."""
    _check(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def entry_text(seq: int, at: datetime, kind: str, actor: str, subject: str, body: str) -> str:
    """The whole entry as it is hashed into its leaf and as it is exported; `body` is canonical JSON already."""
    return (
        f'{{"actor":{json.dumps(actor, ensure_ascii=False)},"at":"{rfc3339(at)}","body":{body},"seq":{seq},'
        f'"subject":{json.dumps(subject, ensure_ascii=False)},"type":{json.dumps(kind, ensure_ascii=False)}}}'
    )


def leaf(text: str) -> bytes:
    """RFC 6962 §2.1: the hash of a leaf."""
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def verify(database: Database, progress: Callable[[int], None] | None = None) -> AuditReport:
    """Read the whole log and name whatever does not fit: gaps, entries altered, moved, added or cut off.

    Appending may go on meanwhile. This cannot detect a log that was rewritten from some entry to its end, counter
    included: for that, one needs a copy of the log kept out of the database's reach.
    """
    with database.read() as connection:
        size, latest_at = _head(connection)
    check = _Check(size)
    for row in _rows(database, size):
        check.entry(row)
        if progress and row.seq % PAGE == 0:
            progress(row.seq)
    check.end(latest_at)
    with database.read() as connection:
        for seq in connection.execute(_outside()).scalars():
            check.fault(seq, "unexpected")
    return AuditReport(size, not check.faults, tuple(check.faults))


def export(database: Database) -> Iterator[str]:
    """The log as lines of JSON: `{"entry": …, "leaf": hex}`, in order.

    A leaf is the SHA-256 of a zero byte and the entry's text exactly as it stands in its line.
    """
    with database.read() as connection:
        size, _ = _head(connection)
    for row in _rows(database, size):
        yield f'{{"entry":{_text(row)},"leaf":"{row.leaf.hex()}"}}'


class _Check:
    """Walks the entries in order and remembers what does not fit."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.faults: list[Fault] = []
        self._seq = 0
        self._at: datetime | None = None

    def fault(self, seq: int, code: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(seq, code))

    def entry(self, row: Row[Any]) -> None:
        self._gap(row.seq)
        if leaf(_text(row)) != row.leaf:
            self.fault(row.seq, "altered")
        if self._at is not None and row.at < self._at:
            self.fault(row.seq, "time_backwards")
        self._seq, self._at = row.seq, row.at

    def end(self, latest_at: datetime | None) -> None:
        self._gap(self.size + 1)
        if self._seq == self.size and latest_at != self._at:
            self.fault(self.size, "head_time")

    def _gap(self, seq: int) -> None:
        for missing in range(self._seq + 1, min(seq, self._seq + 1 + MAX_FAULTS)):
            self.fault(missing, "missing")


def _advance(connection: Connection, count: int, now: datetime) -> tuple[int, datetime]:
    counting = {"count": count, "now": now}
    row = connection.execute(_COUNTED, counting).first()
    if row is None:
        insert_new(connection, head, [{"id": 1, "size": 0, "latest_at": None}], conflict=["id"])
        row = connection.execute(_COUNTED, counting).one()
    return row.size, row.latest_at


def _head(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(select(head.c.size, head.c.latest_at).where(head.c.id == 1)).first()
    return (row.size, row.latest_at) if row else (0, None)


def _rows(database: Database, size: int) -> Iterator[Row[Any]]:
    """The entries 1 to `size`, a page per transaction, so that no snapshot is held for the length of the log."""
    after = 0
    while after < size:
        page = select(audit).where(audit.c.seq > after, audit.c.seq <= size).order_by(audit.c.seq).limit(PAGE)
        with database.read() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        yield from rows
        after = rows[-1].seq


def _outside() -> Any:
    """Entries whose numbers the counter does not cover; one statement, so both are of the same moment."""
    size = func.coalesce(select(func.max(head.c.size)).scalar_subquery(), 0)
    return select(audit.c.seq).where(or_(audit.c.seq < 1, audit.c.seq > size)).order_by(audit.c.seq).limit(MAX_FAULTS)


def _text(row: Row[Any]) -> str:
    return entry_text(row.seq, row.at, row.type, row.actor, row.subject, row.body)


def _check(value: object) -> None:
    """Refuse what two JSON writers would write differently, fractions above all."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError("audit bodies have ASCII keys")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("audit bodies have whole numbers below 2^53")
    elif not isinstance(value, str | None):
        raise TypeError(f"audit bodies have no {type(value).__name__}")
