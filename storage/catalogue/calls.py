"""Rows of calls and their legs. Knows how a call is found and changed, not what a call means.

Every event comes through here, so the statements are built once and only their parameters differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from storage.catalogue.among import among
from storage.catalogue.still import narrowed
from storage.catalogue.upsert import insert_new
from storage.errors import DatabaseBusyError
from storage.tables import metadata

LONGEST_CALL = timedelta(hours=24)

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


_CALL = select(*(calls.c[name] for name in Call.__dataclass_fields__))
_BY_ID = _CALL.where(calls.c.id == bindparam("call"))
# Not two conditions joined by OR: for that, PostgreSQL reads every call there ever was.
_NAMED = union_all(
    select(calls.c.id).where(calls.c.ref == bindparam("ref")),
    select(legs.c.call_id).where(legs.c.ref == bindparam("ref")),
)
# Whoever waited for a call that was blanked meanwhile can tell only by its state that it is gone.
_BY_REF = _CALL.where(calls.c.id.in_(_NAMED), calls.c.state != literal_column("'blank'"))
_LOCK_BY_ID, _LOCK_BY_REF = _BY_ID.with_for_update(), _BY_REF.with_for_update()
_LOCK_FREE_BY_ID, _LOCK_FREE_BY_REF = (
    _BY_ID.with_for_update(skip_locked=True),
    _BY_REF.with_for_update(skip_locked=True),
)
_NUMBER: BindParameter[int] = bindparam("number", type_=BigInteger)
_LOCK_UNKNOWN = select(func.pg_advisory_xact_lock(_NUMBER))
_LOCK_FREE_UNKNOWN = select(func.pg_try_advisory_xact_lock(_NUMBER))
_DUE = _CALL.where(calls.c.settle_at <= bindparam("now")).order_by(calls.c.settle_at).limit(bindparam("limit"))
_SINCE = (
    _CALL.where(calls.c.opened_at >= bindparam("since"), calls.c.line == bindparam("line"))
    .order_by(calls.c.opened_at)
    .limit(bindparam("limit"))
)
_CHANGE = update(calls).where(calls.c.id == bindparam("call"))
_REFS = select(legs.c.ref).where(legs.c.call_id == bindparam("call"), legs.c.ref.is_not(None))
_LINKS = select(legs.c.call_id, legs.c.parent_call_id).where(
    legs.c.parent_call_id.is_not(None),
    or_(
        legs.c.call_id.in_(bindparam("calls", expanding=True)),
        legs.c.parent_call_id.in_(bindparam("calls", expanding=True)),
    ),
)


def get(connection: Connection, call_id: str) -> Call | None:
    return _one(connection, _BY_ID, call=call_id)


def lock(connection: Connection, call_id: str, *, wait: bool = True) -> Call | None:
    """The call, its row locked until the transaction ends. Calls are locked before recordings.

    Without `wait`, raises `DatabaseBusyError` where another transaction has it locked.
    """
    call = _one(connection, _LOCK_BY_ID if wait else _LOCK_FREE_BY_ID, call=call_id)
    if call is None and not wait and get(connection, call_id) is not None:
        raise DatabaseBusyError
    return call


def by_ref(connection: Connection, ref: bytes) -> Call | None:
    """The call a platform's id names, be it the call's own or one of its legs'."""
    return _one(connection, _BY_REF, ref=ref)


def lock_by_ref(connection: Connection, ref: bytes, *, wait: bool = True) -> Call | None:
    """The same, locked as by `lock`. Where there is none, others who lock this ref wait until this transaction ends.

    Without `wait`, raises `DatabaseBusyError` where another transaction has the call or the ref locked.
    """
    locking = _LOCK_BY_REF if wait else _LOCK_FREE_BY_REF
    call = _one(connection, locking, ref=ref)
    if call is None and connection.dialect.name == "postgresql":
        # A missing call has no row to lock: two that both find nothing would both open it and apply its events.
        unknown = _LOCK_UNKNOWN if wait else _LOCK_FREE_UNKNOWN
        if connection.execute(unknown, {"number": int.from_bytes(ref[:8], "big", signed=True)}).scalar() is False:
            raise DatabaseBusyError
        call = _one(connection, locking, ref=ref)
        if call is None and not wait and by_ref(connection, ref) is not None:
            raise DatabaseBusyError
    return call


def insert(connection: Connection, call: Call) -> bool:
    """Add a call. False where one with its ref is already there: read that one by its ref."""
    return bool(insert_new(connection, calls, [vars(call)], conflict=["ref"]))


def change(connection: Connection, call_id: str, *, when: Mapping[str, object] | None = None, **values: object) -> bool:
    """Set columns; with `when`, only if those columns still hold those values. Returns whether it did."""
    statement, expected = narrowed(_CHANGE, calls, when or {})
    return connection.execute(statement, {"call": call_id, **expected, **values}).rowcount == 1


def due_to_settle(connection: Connection, now: datetime, limit: int) -> list[Call]:
    """Calls to be kept or blanked by now, longest due first."""
    return [Call(*row) for row in connection.execute(_DUE, {"now": now, "limit": limit})]


def opened_since(connection: Connection, line: str, since: datetime, limit: int = 1000) -> list[Call]:
    """Calls of one of our lines, from the first that was opened at or after a moment."""
    return [Call(*row) for row in connection.execute(_SINCE, {"since": since, "line": line, "limit": limit})]


def add_leg(connection: Connection, leg: Leg) -> None:
    insert_new(connection, legs, [vars(leg)], conflict=["ref"])


def refs(connection: Connection, call: Call) -> list[bytes]:
    """The refs of all platform ids under which events of this call arrive."""
    rows = connection.execute(_REFS, {"call": call.id})
    return ([call.ref] if call.ref else []) + list(rows.scalars())


def family(connection: Connection, call_id: str) -> set[str]:
    """The call and every call it was transferred from or to."""
    found, unexplored = {call_id}, {call_id}
    while unexplored:
        links = connection.execute(_LINKS, {"calls": list(unexplored)})
        unexplored = {one for link in links for one in link} - found
        found |= unexplored
    return found


def remove_leg(connection: Connection, ref: bytes) -> bool:
    """Remove a leg: from here on, events under its id are no longer its call's. False where there was no such leg."""
    return connection.execute(delete(legs).where(legs.c.ref == ref)).rowcount == 1


def many(connection: Connection, call_ids: Iterable[str]) -> dict[str, Call]:
    """Calls by id."""
    rows = connection.execute(_CALL.where(among(calls.c.id, call_ids)))
    return {row.id: Call(*row) for row in rows}


def _one(connection: Connection, statement: Select[tuple[Any, ...]], **parameters: object) -> Call | None:
    row = connection.execute(statement, parameters).first()
    return None if row is None else Call(*row)
