"""The rows of an erasure: claimed in one transaction, after which nothing opens, and retired in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, literal, select, update

from storage.catalogue import blanking, evidence, relatives, seen, sessions, sweeping
from storage.catalogue.among import among
from storage.catalogue.relatives import NEEDING_THEIR_CALL
from storage.clock import Instant
from storage.tables import metadata

_recordings = metadata.tables["recordings"]
_attempts = metadata.tables["attempts"]
_key_uses = metadata.tables["key_uses"]
_matches = metadata.tables["matches"]
_sources = metadata.tables["source_deletions"]
_links = metadata.tables["links"]

SATELLITES = ("marks", "listenings", "spans")  # deleted as soon as a recording is claimed, by `recording_id`


@dataclass(frozen=True)
class Order:
    """Why recordings are erased. A row that already has a reason, an orderer or a due time of its own keeps it."""

    reason: str
    ordered_by: str
    due_at: datetime | None = None  # None: each at its own expiry


@dataclass(frozen=True)
class Claimed:
    """What an erasure needs to know of a recording that is being erased."""

    id: str
    ref: bytes | None
    segment: str | None
    tries: int
    erase_reason: str | None
    erase_ordered_by: str | None
    erase_due_at: datetime | None
    erasing_since: datetime | None
    certificate_id: str | None


def claim(connection: Connection, ids: Sequence[str], order: Order, now: datetime, *, expiring: bool) -> list[str]:
    """Turn stored or failed recordings to `erasing`: their data keys, marks, sessions and calls go at once.

    With `expiring`, only those that are due and not held. Returns the ids claimed; others claimed the rest, or they
    have changed meanwhile. From the commit on no read succeeds, and no backup made later opens.
    """
    concerned = connection.execute(select(_recordings.c.call_id).where(among(_recordings.c.id, ids))).scalars().all()
    calls = relatives.lock(connection, concerned, skip_locked=expiring)  # a sweep gets locked ones next time
    free = sweeping.is_due(now) if expiring else (_recordings.c.state.in_(("stored", "failed")),)
    columns = (_recordings.c.id, _recordings.c.call_id, _recordings.c.expires_at)
    forecast = and_(_recordings.c.state == "stored", _recordings.c.holds == 0, _recordings.c.expires_at.is_not(None))
    chosen = and_(among(_recordings.c.id, ids), among(_recordings.c.call_id, calls), *free)
    locked = select(_recordings.c.expires_at, forecast).where(chosen).order_by(_recordings.c.id).with_for_update()
    foreseen = [expires_at for expires_at, counted in connection.execute(locked) if counted]
    due_at = _recordings.c.expires_at if order.due_at is None else literal(order.due_at, Instant)
    claimed = connection.execute(
        update(_recordings)
        .where(chosen)
        .values(
            state="erasing",
            dek=None,
            sealed=None,
            key_id=None,
            holds=0,
            lease=None,
            lease_until=None,
            tries=0,
            next_try_at=now,
            erasing_since=now,
            erase_reason=func.coalesce(_recordings.c.erase_reason, order.reason),
            erase_ordered_by=func.coalesce(_recordings.c.erase_ordered_by, order.ordered_by),
            erase_due_at=func.coalesce(_recordings.c.erase_due_at, due_at),
        )
        .returning(*columns)
    ).all()
    taken = [row.id for row in claimed]
    for name in SATELLITES:
        table = metadata.tables[name]
        connection.execute(delete(table).where(among(table.c.recording_id, taken)))
    _close_links(connection, taken)
    theirs = {row.call_id for row in claimed}
    evidence.time_answers(connection, relatives.related(connection, theirs), taken)
    blanking.blank_or_settle(connection, theirs, now)
    sweeping.unforesee(connection, foreseen)
    return taken


def name_certificate(connection: Connection, recording_id: str, certificate_id: str) -> None:
    """Note the id of a recording's certificate before the erasure is verified; one noted earlier stays."""
    connection.execute(
        update(_recordings)
        .where(_recordings.c.id == recording_id, _recordings.c.certificate_id.is_(None))
        .values(certificate_id=certificate_id)
    )


def postpone(connection: Connection, recording_id: str, order: Order, now: datetime) -> bool:
    """Make a held recording due now: it goes as soon as its last hold ends. False where that was noted before."""
    noted = connection.execute(
        update(_recordings)
        .where(_recordings.c.id == recording_id, _recordings.c.state == "stored", _recordings.c.erase_reason.is_(None))
        .values(
            erase_reason=order.reason,
            erase_ordered_by=order.ordered_by,
            erase_due_at=now,
            expires_at=now,
        )
    )
    return noted.rowcount == 1


def take_unfinished(connection: Connection, now: datetime, until: datetime, limit: int) -> list[str]:
    """Take on unfinished erasures that are due for another try; until `until` nobody else takes them.

    There is no lease: erasing twice does no harm, and of two workers that finish, one finds no row.
    """
    due = (
        select(_recordings.c.id)
        .where(_recordings.c.state == "erasing", _recordings.c.next_try_at <= now)
        .order_by(_recordings.c.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = update(_recordings).where(_recordings.c.id.in_(select(due.c.id))).values(next_try_at=until)
    return list(connection.execute(taken.returning(_recordings.c.id)).scalars())


def standing(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of these recordings that are stored or failed, or may yet be captured."""
    query = select(_recordings.c.id).where(among(_recordings.c.id, ids), _recordings.c.state.in_(NEEDING_THEIR_CALL))
    return list(connection.execute(query.order_by(_recordings.c.id)).scalars())


def rows(connection: Connection, ids: Sequence[str], *, lock: bool = False) -> list[Claimed]:
    """Those of these recordings that are being erased, in the order of their ids, as everywhere."""
    columns = (_recordings.c[name] for name in Claimed.__dataclass_fields__)
    query = select(*columns).where(among(_recordings.c.id, ids), _recordings.c.state == "erasing")
    query = query.order_by(_recordings.c.id)
    return [Claimed(*row) for row in connection.execute(query.with_for_update() if lock else query)]


def objects(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Every object any attempt may have written, by recording: object key → state of the attempt."""
    query = select(_attempts.c.recording_id, _attempts.c.object_key, _attempts.c.state).where(
        among(_attempts.c.recording_id, ids)
    )
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for recording_id, key, state in connection.execute(query):
        found[recording_id][key] = state
    return found


def renditions(connection: Connection, recording_id: str) -> list[tuple[str, str]]:
    """Rendition and state of every attempt."""
    query = select(_attempts.c.rendition, _attempts.c.state).where(_attempts.c.recording_id == recording_id)
    return [(rendition, state) for rendition, state in connection.execute(query)]


def platform_copy(connection: Connection, recording_id: str) -> str | None:
    """How far the deletion of the platform's own copy is: new, done or failed."""
    query = select(_sources.c.state).where(_sources.c.recording_id == recording_id)
    return connection.execute(query).scalars().first()


def last_key_days(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The latest day (`yyyymmdd`) of any key that ever wrapped each recording's data key."""
    query = (
        select(_key_uses.c.recording_id, func.max(_key_uses.c.day))
        .where(among(_key_uses.c.recording_id, ids))
        .group_by(_key_uses.c.recording_id)
    )
    return {recording_id: str(day) for recording_id, day in connection.execute(query)}


def retry_later(connection: Connection, recording_id: str, at: datetime) -> None:
    connection.execute(
        update(_recordings)
        .where(_recordings.c.id == recording_id, _recordings.c.state == "erasing")
        .values(next_try_at=at, tries=_recordings.c.tries + 1)
    )


def retire(connection: Connection, gone: Sequence[Claimed], now: datetime) -> None:
    """Remove the rows of recordings whose objects are verified gone; their refs are remembered against replays."""
    ids = [recording.id for recording in gone]
    seen.add_all(connection, (recording.ref for recording in gone if recording.ref is not None), "recording", now)
    for name in (*SATELLITES, "holds", "attempts", "key_uses"):
        table = metadata.tables[name]
        connection.execute(delete(table).where(among(table.c.recording_id, ids)))
    connection.execute(delete(_recordings).where(among(_recordings.c.id, ids)))


def _close_links(connection: Connection, ids: Sequence[str]) -> None:
    """Void links that lead to no other stored recording, and end the sessions they opened."""
    approved = select(_matches.c.request_id).where(_matches.c.approved.is_(True))
    hit = set(connection.execute(approved.where(among(_matches.c.recording_id, ids))).scalars())
    if not hit:
        return
    stored = approved.join(_recordings, _recordings.c.id == _matches.c.recording_id).where(
        among(_matches.c.request_id, hit), _recordings.c.state == "stored"
    )
    dead = hit.difference(connection.execute(stored).scalars())
    theirs = among(_links.c.request_id, dead) & _links.c.state.in_(("minted", "open"))
    voided = update(_links).where(theirs).values(state="void", contact=None).returning(_links.c.id)
    for link_id in connection.execute(voided).scalars().all():
        sessions.end_of_link(connection, link_id)
