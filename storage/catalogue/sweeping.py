"""What is due, what was foreseen, and what still depends on a key that must go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    type_coerce,
    union_all,
    update,
)

from storage.catalogue import attempts, calls, forecast, recordings
from storage.catalogue.among import among
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.clock import EPOCH, midnight
from storage.tables import metadata

_recordings = metadata.tables["recordings"]
_calls = metadata.tables["calls"]
_forecast = metadata.tables["forecast"]
_inbox = metadata.tables["inbox"]
_requests = metadata.tables["requests"]
_sources = metadata.tables["source_deletions"]

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Due:
    """What is due at a moment (by UTC day of expiry, and by class), and what was foreseen (by day)."""

    found: dict[date, int]
    foreseen: dict[date, int]
    segments: dict[str, int]
    waiting: int  # due, but held


def due(connection: Connection, now: datetime, today: date) -> Due:
    """Count what a sweep would claim. Found and foreseen come from one statement, so both are of the same moment."""
    day = cast(type_coerce(_recordings.c.expires_at, BigInteger) // DAY_US, String)
    found = (
        select(
            literal("found").label("what"),
            day.label("key"),
            _recordings.c.segment.label("segment"),
            func.count().label("n"),
        )
        .where(*is_due(now))
        .group_by(day, _recordings.c.segment)
    )
    foreseen = select(literal("foreseen"), _forecast.c.day, literal(""), _forecast.c.due).where(
        _forecast.c.day <= f"{today:%Y%m%d}"
    )
    by_day: defaultdict[date, int] = defaultdict(int)
    segments: defaultdict[str, int] = defaultdict(int)
    expected: dict[date, int] = {}
    for what, key, segment, count in connection.execute(union_all(found, foreseen)):
        if what == "foreseen":
            expected[_day(key)] = count
        else:
            by_day[(EPOCH + timedelta(days=int(key))).date()] += count
            segments[segment or "unknown"] += count
    held = select(func.count()).where(
        _recordings.c.state == literal_column("'stored'"),
        _recordings.c.holds > literal_column("0"),
        _recordings.c.expires_at <= now,
    )
    return Due(dict(by_day), expected, dict(segments), connection.execute(held).scalar_one())


def due_ids(connection: Connection, now: datetime, limit: int, *, key_id: str | None = None) -> list[str]:
    """The next recordings to claim, longest due first. With `key_id`, only those whose data key that key wraps."""
    query = _next_due(now, limit)
    if key_id is not None:
        query = query.where(_recordings.c.key_id == key_id)
    return list(connection.execute(query).scalars())


def settle_forecast(connection: Connection, today: date) -> None:
    """Forget the forecast of days that are over, once a sweep went on in spite of a difference; none stays below 0."""
    forecast.forget_before(connection, f"{today:%Y%m%d}")
    connection.execute(update(_forecast).where(_forecast.c.due < 0).values(due=0))


def unforesee(connection: Connection, expiries: Iterable[datetime]) -> None:
    """Count recordings out of the forecast of the days they expire on."""
    days: defaultdict[str, int] = defaultdict(int)
    for moment in expiries:
        days[f"{moment:%Y%m%d}"] += 1
    for day in sorted(days):  # in one order everywhere, so that two sweeps never wait for each other
        forecast.adjust(connection, day, -days[day])


def named_by_stored(connection: Connection, key_id: str) -> int:
    """How many stored recordings still depend on a key."""
    query = select(func.count()).where(_recordings.c.key_id == key_id, _recordings.c.state == "stored")
    return connection.execute(query).scalar_one()


@dataclass(frozen=True)
class LetGo:
    """The ids of calls that depended on a key that goes: nobody can open them from here on."""

    calls: list[str]
    recordings: list[str]  # that never came to be stored


def calls_of(connection: Connection, key_id: str, limit: int) -> list[str]:
    """Some of the calls that still depend on a key, `limit` at most."""
    query = select(_calls.c.id).where(_calls.c.key_id == key_id).limit(limit)
    return list(connection.execute(query).scalars())


def never_stored(connection: Connection, key_id: str, call_ids: Collection[str]) -> list[tuple[Call, Recording]]:
    """Recordings that were announced but never stored, each with its call: they may lie at their platform.

    Only of those of these calls that the key still seals.
    """
    waiting = recordings.RECORDING.where(_never_stored(key_id, call_ids))
    found = [Recording(*row) for row in connection.execute(waiting)]
    its_call = calls.many(connection, {one.call_id for one in found}) if found else {}
    return [(its_call[one.call_id], one) for one in found]


def let_go_of_calls(connection: Connection, key_id: str, call_ids: Collection[str]) -> LetGo:
    """Blank what a key sealed of these calls. Lock them first; those that another key seals by now are left out."""
    discarded = (
        update(_recordings)
        .where(_never_stored(key_id, call_ids))
        .values(state="discarded", reason="expired", lease=None)
    )
    recording_ids = list(connection.execute(discarded.returning(_recordings.c.id)).scalars())
    attempts.lose_all(connection, recording_ids)
    gone = update(_calls).where(_hanging(key_id, call_ids)).values(call_key=None, key_id=None, sealed=None)
    return LetGo(list(connection.execute(gone.returning(_calls.c.id)).scalars()), recording_ids)


def let_go_of_rest(connection: Connection, key_id: str, day: date) -> list[str]:
    """Blank everything else a key of this day sealed: from here on it could not be opened anyway.

    That is recordings not stored, requests, notes of copies at a platform, and webhooks never applied. Returns the ids
    of those webhooks.
    """
    gone = {"key_id": None, "sealed": None}
    connection.execute(
        update(_recordings)
        .where(_recordings.c.key_id == key_id, _recordings.c.state != "stored")
        .values(dek=None, **gone)
    )
    connection.execute(update(_requests).where(_requests.c.key_id == key_id).values(request_key=None, **gone))
    begun = midnight(day)  # an event's key is of the day it came in on: no need to look further
    of_the_day = _inbox.c.received_at.between(begun - timedelta(days=1), begun + timedelta(days=2))
    for table, where in ((_inbox, of_the_day), (_sources, true())):
        connection.execute(update(table).where(table.c.key_id == key_id, where).values(key_id=None, body=None))
    lost = update(_inbox).where(_inbox.c.body.is_(None), _inbox.c.state == "new").values(state="failed")
    return list(connection.execute(lost.returning(_inbox.c.id)).scalars())


def _hanging(key_id: str, call_ids: Collection[str]) -> ColumnElement[bool]:
    return among(_calls.c.id, call_ids) & (_calls.c.key_id == key_id)


def _never_stored(key_id: str, call_ids: Collection[str]) -> ColumnElement[bool]:
    hanging = select(_calls.c.id).where(_hanging(key_id, call_ids))
    return _recordings.c.call_id.in_(hanging) & _recordings.c.state.in_(("announced", "capturing", "failed"))


def count_erasing(connection: Connection) -> int:
    """How many erasures are begun and not verified."""
    query = select(func.count()).where(_recordings.c.state == "erasing")
    return connection.execute(query).scalar_one()


def is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What the sweep may claim: stored, past its moment, held by nobody.

    The constants are written out: only then does a database see that its partial index applies.
    """
    return (
        _recordings.c.state == literal_column("'stored'"),
        _recordings.c.holds == literal_column("0"),
        _recordings.c.expires_at <= now,
    )


def _next_due(now: datetime, limit: int) -> Select[str]:
    """Answered by the partial index `ix_recordings_due` alone."""
    return select(_recordings.c.id).where(*is_due(now)).order_by(_recordings.c.expires_at).limit(limit)


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 -- a day has no zone
