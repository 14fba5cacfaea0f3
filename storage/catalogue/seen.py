"""Marks of calls and recordings that once were, so that a replayed callback re-imports nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from storage.catalogue.upsert import insert_new
from storage.tables import SeenRow

seen = SeenRow.__table__

_KNOWN = select(seen.c.mark).where(seen.c.mark == bindparam("mark"))


def add(connection: Connection, mark: bytes, kind: str, now: datetime) -> bool:
    """Remember a mark; False where it is known already."""
    return bool(insert_new(connection, seen, [{"mark": mark, "kind": kind, "seen_at": now}], conflict=["mark"]))


def add_all(connection: Connection, marks: Iterable[bytes], kind: str, now: datetime) -> None:
    """Remember many at once."""
    rows = [{"mark": mark, "kind": kind, "seen_at": now} for mark in marks]
    if rows:
        insert_new(connection, seen, rows, conflict=["mark"])


def has(connection: Connection, mark: bytes) -> bool:
    return connection.execute(_KNOWN, {"mark": mark}).first() is not None


def forget_before(connection: Connection, moment: datetime, limit: int = 1000) -> int:
    """Forget at most `limit` marks last seen before a moment; call again until it returns 0."""
    old = select(seen.c.mark).where(seen.c.seen_at < moment).limit(limit)
    return connection.execute(delete(seen).where(seen.c.mark.in_(old))).rowcount
