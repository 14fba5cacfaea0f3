"""Rows of calls and their legs. Knows how a call is found and changed, not what a call means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, or_, select, update

from storage.catalogue.upsert import insert_new
from storage.tables import metadata

calls = metadata.tables["calls"]
legs = metadata.tables["legs"]


@dataclass(frozen=True)
class Call:
    """One conversation. `sealed` is opened under the call key, `call_key` under the key that `key_id` names."""

    id: str
    platform: str
    opened_at: datetime
    ref: bytes | None = field(default=None, repr=False)
    opened: bool = False
    line: str | None = None
    direction: str | None = None
    customer_type: str | None = None
    call_kind: str | None = None
    segment: str | None = None
    brand: str | None = None
    language: str | None = None
    queue: str | None = None
    state: str = "open"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    settle_at: datetime | None = None
    skew_us: int | None = None
    key_id: str | None = None
    call_key: bytes | None = field(default=None, repr=False)
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Leg:
    """A further platform call id of a call (`ref`), or a call's descent from another one (`parent_call_id`)."""

    id: str
    call_id: str
    ref: bytes | None = field(default=None, repr=False)
    parent_call_id: str | None = None


def get(connection: Connection, call_id: str) -> Call | None:
    return _one(connection, select(calls).where(calls.c.id == call_id))


def lock(connection: Connection, call_id: str) -> Call | None:
    """The call, its row locked until the transaction ends. Calls are locked before recordings."""
    return _one(connection, select(calls).where(calls.c.id == call_id).with_for_update())


def by_ref(connection: Connection, ref: bytes) -> Call | None:
    """The call a platform's id names, be it the call's own or one of its legs'."""
    return _one(connection, _named(ref))


def lock_by_ref(connection: Connection, ref: bytes) -> Call | None:
    """The same, locked as by `lock`."""
    return _one(connection, _named(ref).with_for_update())


def insert(connection: Connection, call: Call) -> None:
    """Add a call, unless one with its ref is already there: read it back by its ref."""
    insert_new(connection, calls, [asdict(call)], conflict=["ref"])


def change(connection: Connection, call_id: str, *, when: Mapping[str, object] | None = None, **values: object) -> bool:
    """Set columns; with `when`, only if these columns still hold these values. Says whether it did."""
    conditions = [calls.c[name] == value for name, value in (when or {}).items()]
    statement = update(calls).where(calls.c.id == call_id, *conditions).values(**values)
    return connection.execute(statement).rowcount == 1


def due_to_settle(connection: Connection, now: datetime, limit: int) -> list[Call]:
    """Calls to be kept or blanked by now, longest due first."""
    statement = select(calls).where(calls.c.settle_at <= now).order_by(calls.c.settle_at).limit(limit)
    return [Call(**row) for row in connection.execute(statement).mappings()]


def add_leg(connection: Connection, leg: Leg) -> None:
    insert_new(connection, legs, [asdict(leg)], conflict=["ref"])


def refs(connection: Connection, call: Call) -> list[bytes]:
    """Every platform id, as refs, under which events of this call arrive."""
    rows = connection.execute(select(legs.c.ref).where(legs.c.call_id == call.id, legs.c.ref.is_not(None)))
    return ([call.ref] if call.ref else []) + list(rows.scalars())


def family(connection: Connection, call_id: str) -> set[str]:
    """The call and every call it was transferred from or to."""
    found, unexplored = {call_id}, {call_id}
    while unexplored:
        links = select(legs.c.call_id, legs.c.parent_call_id).where(
            legs.c.parent_call_id.is_not(None),
            or_(legs.c.call_id.in_(unexplored), legs.c.parent_call_id.in_(unexplored)),
        )
        unexplored = {one for link in connection.execute(links) for one in link} - found
        found |= unexplored
    return found


def remove_legs(connection: Connection, call_id: str) -> None:
    connection.execute(delete(legs).where(or_(legs.c.call_id == call_id, legs.c.parent_call_id == call_id)))


def many(connection: Connection, call_ids: Iterable[str]) -> dict[str, Call]:
    """Calls by id."""
    rows = connection.execute(select(calls).where(calls.c.id.in_(list(call_ids)))).mappings()
    return {row["id"]: Call(**row) for row in rows}


def _named(ref: bytes) -> Select[tuple[Any, ...]]:
    of_leg = select(legs.c.call_id).where(legs.c.ref == ref)
    return select(calls).where(or_(calls.c.ref == ref, calls.c.id.in_(of_leg)))


def _one(connection: Connection, statement: Select[tuple[Any, ...]]) -> Call | None:
    row = connection.execute(statement).mappings().first()
    return None if row is None else Call(**row)
