"""Calls that came out of one another: what was said in one counts in all of them, even after that one is gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, union_all, update

from storage.catalogue import calls, evidence, seen
from storage.catalogue.among import among
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent
from storage.clock import new_id
from storage.errors import DatabaseBusyError
from storage.tables import metadata

_calls = metadata.tables["calls"]
_consents = metadata.tables["consents"]
_legs = metadata.tables["legs"]
_parties = metadata.tables["parties"]
_recordings = metadata.tables["recordings"]
_spans = metadata.tables["spans"]

UNDECIDED, DECIDED = ("announced", "capturing"), ("stored", "failed")
NEEDING_THEIR_CALL = (*UNDECIDED, *DECIDED)
NO = ("refused", "withdrawn", "unanswered")


def lock(connection: Connection, call_ids: Collection[str], *, skip_locked: bool = False) -> list[str]:
    """Lock calls and all calls linked to them, in the order of their ids: what was said in one may pass to the others.

    Returns the calls asked for; with `skip_locked`, only those where nobody else has the call or any of its relatives
    locked. It waits in that order, so whoever holds a call already must lock others by `lock_by_ref`, without `wait`.
    """
    if _one_writer(connection):
        return list(call_ids)
    linked = _families(connection, call_ids)
    while True:
        savepoint = connection.begin_nested()
        wanted = select(_calls.c.id).where(among(_calls.c.id, {*call_ids}.union(*linked.values())))
        wanted = wanted.order_by(_calls.c.id).with_for_update(skip_locked=skip_locked)
        locked = set(connection.execute(wanted).scalars())
        before, linked = linked, _families(connection, call_ids)  # those we waited for may have linked more calls
        if skip_locked or linked == before:
            savepoint.commit()
            return [one for one in call_ids if linked.get(one, {one}) <= locked]
        savepoint.rollback()  # gives the locks back: the new ones may come first in that order


def lock_by_ref(connection: Connection, ref: bytes, *, wait: bool = True) -> Call | None:
    """The call a platform's id names, locked as by `calls.lock_by_ref`, with all calls linked to it.

    Without `wait`, raises `DatabaseBusyError` where another transaction has one of them locked; with it, only where
    the id has come to name another call while we waited for the first.
    """
    named = calls.by_ref(connection, ref) if wait and not _one_writer(connection) else None
    if named is not None:
        lock(connection, [named.id])
    call = calls.lock_by_ref(connection, ref, wait=wait)
    if call is not None and (named is None or call.id != named.id):
        _lock_others(connection, call.id)
    return call


def related(connection: Connection, call_ids: Collection[str]) -> set[str]:
    """These calls and all calls linked to them."""
    return {*call_ids}.union(*_families(connection, call_ids).values())


def waited_for(connection: Connection, call_ids: Collection[str]) -> list[str]:
    """Those of these calls that are linked to another with a recording not decided on yet."""
    return [
        one
        for one in _linked(connection, call_ids)
        if _first_recorded(connection, calls.family(connection, one) - {one}, UNDECIDED) is not None
    ]


def bequeath(connection: Connection, call_ids: Sequence[str]) -> None:
    """Hand on what was said in calls that go to the calls linked to them, which stay linked to each other.

    Only who said it is lost, with the call's key. An outsider who joined is handed on too; other parties were that
    call's alone. A yes goes only to a call with recordings already decided: nobody can tell any more whose yes it was.
    """
    for dying in _linked(connection, call_ids):
        relatives = calls.family(connection, dying) - set(call_ids)
        heir = _first_there(connection, relatives)
        if heir is None:
            continue
        said, came = _consents.c.call_id == dying, (_parties.c.call_id == dying) & (_parties.c.role == "outside")
        pressed = (_spans.c.call_id == dying) & _spans.c.recording_id.is_(None)
        if (keeper := _first_recorded(connection, relatives, DECIDED)) is not None:
            granted = said & (_consents.c.decision == "granted")
            connection.execute(update(_consents).where(granted).values(call_id=keeper, sealed=None))
        narrowing = said & (_consents.c.decision != "granted")
        connection.execute(update(_consents).where(narrowing).values(call_id=heir, sealed=None))
        connection.execute(update(_parties).where(came).values(call_id=heir, sealed=None))
        connection.execute(update(_spans).where(pressed).values(call_id=heir))
        _stand_in(connection, dying, heir)


def refused(connection: Connection, call_ids: Collection[str]) -> dict[str, datetime]:
    """Those of these calls in which somebody said no, each with the time we last heard a no."""
    noes = select(_consents.c.call_id, func.max(_consents.c.received_at).label("heard")).where(
        among(_consents.c.call_id, call_ids), _consents.c.decision.in_(NO)
    )
    return {row.call_id: row.heard for row in connection.execute(noes.group_by(_consents.c.call_id))}


def inherit(connection: Connection, call_id: str, ref: bytes) -> bool:
    """Carry a no over to this call from the mark of `ref`; False where that has none.

    The no was said in a call, now gone, that had `ref` as its own id or as a leg's. When it was said is no longer
    known, only by when.
    """
    at = seen.refused_at(connection, ref)
    if at is None:
        return False
    no = Consent(new_id("cns"), call_id, "refused", received_at=at, at=at, clock="service")
    evidence.add_consent(connection, no)
    return True


def _lock_others(connection: Connection, call_id: str) -> None:
    """Lock all calls linked to one that is locked already, without waiting: two would wait for each other."""
    alone = _one_writer(connection) or len(calls.family(connection, call_id)) == 1
    if not alone and not lock(connection, [call_id], skip_locked=True):
        raise DatabaseBusyError


def _one_writer(connection: Connection) -> bool:
    """Whether nobody else can have anything locked: on SQLite one writes at a time."""
    return connection.dialect.name == "sqlite"


def _stand_in(connection: Connection, dying: str, heir: str) -> None:
    for end, other in ((_legs.c.call_id, _legs.c.parent_call_id), (_legs.c.parent_call_id, _legs.c.call_id)):
        connection.execute(update(_legs).where(end == dying, other != heir).values({end: heir}))


def _families(connection: Connection, call_ids: Collection[str]) -> dict[str, set[str]]:
    return {one: calls.family(connection, one) for one in _linked(connection, call_ids)}


def _linked(connection: Connection, call_ids: Collection[str]) -> list[str]:
    """Those of these calls that came out of others, or others out of them."""
    links = select(_legs.c.call_id, _legs.c.parent_call_id).where(_legs.c.parent_call_id.is_not(None))
    # Not two conditions joined by OR: for that, PostgreSQL reads every leg there is.
    theirs = union_all(*(links.where(among(end, call_ids)) for end in (_legs.c.call_id, _legs.c.parent_call_id)))
    return sorted({one for link in connection.execute(theirs) for one in link} & set(call_ids))


def _first_there(connection: Connection, call_ids: Collection[str]) -> str | None:
    """The first of these not yet blank, even with nothing recorded yet: what was said before counts for what comes."""
    there: ColumnElement[bool] = _calls.c.id.in_(call_ids) & (_calls.c.state != "blank")
    first: str | None = connection.execute(select(func.min(_calls.c.id)).where(there)).scalar_one()
    return first


def _first_recorded(connection: Connection, call_ids: Collection[str], states: Collection[str]) -> str | None:
    recorded = _recordings.c.call_id.in_(call_ids) & _recordings.c.state.in_(states)
    first: str | None = connection.execute(select(func.min(_recordings.c.call_id)).where(recorded)).scalar_one()
    return first
