"""Calls that came out of one another: what was said in one counts in all of them, also when it goes before they do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, union_all, update

from storage.catalogue import evidence, seen
from storage.catalogue.among import among
from storage.catalogue.calls import family
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
    """Lock calls with all that are linked to them, in one order: what was said in one may go on in those.

    Returns them; with `skip_locked`, only those of which, and of whose relatives, nobody else has any. Waits in that
    order, so whoever has a call locked already takes those linked to it by `lock_others`.
    """
    if connection.dialect.name == "sqlite":  # one writes at a time
        return list(call_ids)
    linked = _families(connection, call_ids)
    while True:
        savepoint = connection.begin_nested()
        wanted = select(_calls.c.id).where(among(_calls.c.id, {*call_ids}.union(*linked.values())))
        wanted = wanted.order_by(_calls.c.id).with_for_update(skip_locked=skip_locked)
        locked = set(connection.execute(wanted).scalars())
        before, linked = linked, _families(connection, call_ids)  # whoever was waited for may have linked some more
        if skip_locked or linked == before:
            savepoint.commit()
            return [one for one in call_ids if linked.get(one, {one}) <= locked]
        savepoint.rollback()  # gives the locks back: the new ones may come first in that order


def lock_others(connection: Connection, call_id: str) -> None:
    """Lock all that are linked to a locked call too, waiting for nobody: two would wait for each other.

    Raises `DatabaseBusyError` where another has one of them.
    """
    if len(family(connection, call_id)) > 1 and not lock(connection, [call_id], skip_locked=True):
        raise DatabaseBusyError


def waited_for(connection: Connection, call_ids: Collection[str]) -> list[str]:
    """Those of these calls that are linked to one of which something is recorded that nobody has decided on yet."""
    return [
        one
        for one in _linked(connection, call_ids)
        if _first_recorded(connection, family(connection, one) - {one}, UNDECIDED) is not None
    ]


def bequeath(connection: Connection, call_ids: Sequence[str]) -> None:
    """What was said in calls that go counts on in those they are linked to, and these stay linked to each other.

    Only who said it goes with the call's key. An outsider who joined counts on too; other parties were its own. A yes
    is handed on only to what was decided by it, for nobody can tell any more whose it was.
    """
    for dying in _linked(connection, call_ids):
        relatives = family(connection, dying) - set(call_ids)
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
    """Those of these calls that somebody said no in, and when we last heard one."""
    noes = select(_consents.c.call_id, func.max(_consents.c.received_at).label("heard")).where(
        among(_consents.c.call_id, call_ids), _consents.c.decision.in_(NO)
    )
    return {row.call_id: row.heard for row in connection.execute(noes.group_by(_consents.c.call_id))}


def inherit(connection: Connection, call_id: str, ref: bytes) -> bool:
    """Let a no said in a call that is gone, or in one this was a leg of, count in this one; whether there was any.

    When it was said is known no more, only that it was by then.
    """
    at = seen.refused_at(connection, ref)
    if at is None:
        return False
    no = Consent(new_id("cns"), call_id, "refused", received_at=at, at=at, clock="service")
    evidence.add_consent(connection, no)
    return True


def _stand_in(connection: Connection, dying: str, heir: str) -> None:
    for end, other in ((_legs.c.call_id, _legs.c.parent_call_id), (_legs.c.parent_call_id, _legs.c.call_id)):
        connection.execute(update(_legs).where(end == dying, other != heir).values({end: heir}))


def _families(connection: Connection, call_ids: Collection[str]) -> dict[str, set[str]]:
    return {one: family(connection, one) for one in _linked(connection, call_ids)}


def _linked(connection: Connection, call_ids: Collection[str]) -> list[str]:
    """Those of these calls that came out of others, or others out of them."""
    links = select(_legs.c.call_id, _legs.c.parent_call_id).where(_legs.c.parent_call_id.is_not(None))
    # Not one or the other of two conditions: for that, PostgreSQL reads every leg there is.
    theirs = union_all(*(links.where(among(end, call_ids)) for end in (_legs.c.call_id, _legs.c.parent_call_id)))
    return sorted({one for link in connection.execute(theirs) for one in link} & set(call_ids))


def _first_there(connection: Connection, call_ids: Collection[str]) -> str | None:
    """Also one of which nothing is recorded yet: what is to come is decided by what was said before."""
    there: ColumnElement[bool] = _calls.c.id.in_(call_ids) & (_calls.c.state != "blank")
    first: str | None = connection.execute(select(func.min(_calls.c.id)).where(there)).scalar_one()
    return first


def _first_recorded(connection: Connection, call_ids: Collection[str], states: Collection[str]) -> str | None:
    recorded = _recordings.c.call_id.in_(call_ids) & _recordings.c.state.in_(states)
    first: str | None = connection.execute(select(func.min(_recordings.c.call_id)).where(recorded)).scalar_one()
    return first
