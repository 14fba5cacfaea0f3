"""Marks of calls and recordings that are gone, so that a replayed callback re-imports nothing.

If somebody said no in a call, its mark says so too: calls that turn out to be linked to it later must know.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from storage.catalogue.upsert import insert_new
from storage.tables import SeenRow

seen = SeenRow.__table__

REFUSED = "refused"  # a call with a no in it, marked at a moment after that no
LEG = "leg"  # a further id of such a call; it may turn out to name a call of its own, which then is not gone

_KNOWN = select(seen.c.mark).where(seen.c.mark == bindparam("mark"), seen.c.kind != LEG)
_REFUSED = select(seen.c.seen_at).where(seen.c.mark == bindparam("mark"), seen.c.kind.in_((REFUSED, LEG)))
_FORGET_LEG = delete(seen).where(seen.c.mark == bindparam("leg"), seen.c.kind == LEG)


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


def refused_at(connection: Connection, mark: bytes) -> datetime | None:
    """When, at the latest, somebody said no in the call that went by this mark; None where nobody did."""
    at: datetime | None = connection.execute(_REFUSED, {"mark": mark}).scalar_one_or_none()
    return at


def forget_leg(connection: Connection, mark: bytes) -> None:
    """Forget a leg that has become a call of its own: that call will leave its own mark."""
    connection.execute(_FORGET_LEG, {"leg": mark})


def forget_before(connection: Connection, moment: datetime, limit: int = 1000) -> int:
    """Forget at most `limit` marks last seen before a moment; call again until it returns 0."""
    old = select(seen.c.mark).where(seen.c.seen_at < moment).limit(limit)
    return connection.execute(delete(seen).where(seen.c.mark.in_(old))).rowcount
