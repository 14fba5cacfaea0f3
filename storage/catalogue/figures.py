"""Counts for operators: how much there is of what, and how late. Nothing here names anybody or any recording."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from storage.catalogue import canaries
from storage.catalogue.among import among
from storage.catalogue.sweeping import is_due
from storage.clock import utc_day
from storage.keys import INBOX_DAYS
from storage.tables import metadata

Values = dict[tuple[str, ...], float]
Figures = dict[str, Values]

LATE = timedelta(hours=1)  # P3: this long after its due second, no version of an object may be left

# (name, help, labels): every label takes values of a closed set, the schema's own words or our own lines' numbers.
SLOW: tuple[tuple[str, str, tuple[str, ...]], ...] = (  # each of these reads one row per recording
    ("recordings", "recordings by state", ("state",)),
    ("stored_bytes", "bytes of audio kept", ()),
)
QUICK: tuple[tuple[str, str, tuple[str, ...]], ...] = (  # read from an index of what waits, or a table of few rows
    ("inbox_pending", "webhooks accepted and not yet applied", ()),
    ("inbox_oldest_seconds", "age of the oldest of them", ()),
    ("captures_waiting", "recordings available at their platform and not yet stored", ()),
    ("capture_oldest_seconds", "time since the first of them was available", ()),
    ("erasures_overdue", "recordings past their time and not held", ()),
    ("erasures_late", "recordings that should have been gone for more than an hour (P3)", ()),
    ("erasing", "erasures begun and not yet verified", ()),
    ("leftovers", "objects that were replaced or given up and are still there", ()),
    ("keys_ahead", "day keys ready for the days to come", ()),
    ("keys_overdue", "keys whose time is over and that are not destroyed", ("purpose",)),
    ("outbox_oldest_seconds", "time since the first message not handed over was due", ("kind",)),
    ("source_deletions_oldest_seconds", "age of the oldest copy still lying at a platform", ()),
    ("leases_held", "periodic jobs that run now, anywhere", ()),
    ("audit_age_seconds", "time since the last entry of the audit log; below zero: a clock is behind", ()),
    ("holds_active", "holds in force", ("kind",)),
    ("requests_open", "open requests of data subjects", ("kind",)),
    ("requests_min_days_left", "days until the first of them is due", ()),
    ("tasks_open", "tasks that wait for a person", ("kind",)),
    ("outbox_pending", "messages not yet handed over", ("kind",)),
    ("source_deletions_pending", "copies still lying at a platform", ()),
    ("audit_size", "entries of the audit log", ()),
    ("canary_failed", "whether the last test call to a line of ours failed", ("line",)),
    ("canary_age_seconds", "time since that test call", ("line",)),
)
NAMES = SLOW + QUICK


def slow(connection: Connection) -> Figures:
    recordings = metadata.tables["recordings"]
    kept = select(func.sum(recordings.c.size_bytes)).where(recordings.c.state == "stored")
    return {"recordings": by_state(connection), "stored_bytes": _one(connection, kept)}


def quick(connection: Connection, now: datetime) -> Figures:
    return {
        **_queues(connection, now),
        **_erasures(connection, now),
        **_keys(connection, now),
        **_people(connection, now),
        **_canaries(connection, now),
    }


def _queues(connection: Connection, now: datetime) -> Figures:
    t = metadata.tables
    inbox, outbox, sources, recordings = t["inbox"], t["outbox"], t["source_deletions"], t["recordings"]
    # Values written out: only then do databases see that their partial indexes apply.
    new, unsent, there = (rows.c.state == literal_column("'new'") for rows in (inbox, outbox, sources))
    waiting = recordings.c.state.in_(("announced", "capturing")) & recordings.c.available_at.is_not(None)
    taken_in = _waiting(connection, new, inbox.c.received_at, now)
    available = _waiting(connection, waiting, recordings.c.available_at, now)
    lying = _waiting(connection, there, sources.c.created_at, now)
    due = unsent, outbox.c.created_at <= now
    oldest = select(outbox.c.kind, func.min(outbox.c.created_at)).where(*due).group_by(outbox.c.kind)
    return {
        "inbox_pending": taken_in[0],
        "inbox_oldest_seconds": taken_in[1],
        "captures_waiting": available[0],
        "capture_oldest_seconds": available[1],
        "outbox_pending": _by(connection, "outbox", "kind", unsent),
        "outbox_oldest_seconds": {(kind,): (now - first).total_seconds() for kind, first in connection.execute(oldest)},
        "source_deletions_pending": lying[0],
        "source_deletions_oldest_seconds": lying[1],
        "leases_held": _one(connection, select(func.count()).where(t["leases"].c.until > now)),
    }


def _erasures(connection: Connection, now: datetime) -> Figures:
    recordings, attempts = metadata.tables["recordings"], metadata.tables["attempts"]
    erasing, lost = recordings.c.state == "erasing", attempts.c.state == literal_column("'lost'")
    (begun,) = _one(connection, select(func.count()).where(erasing, recordings.c.erase_due_at <= now - LATE)).values()
    (unclaimed,) = _one(connection, select(func.count()).where(*is_due(now - LATE))).values()
    return {
        "erasures_overdue": _one(connection, select(func.count()).where(*is_due(now))),
        "erasures_late": {(): begun + unclaimed},
        "erasing": _one(connection, select(func.count()).where(erasing)),
        "leftovers": _one(connection, select(func.count()).where(lost)),
    }


def _people(connection: Connection, now: datetime) -> Figures:
    t = metadata.tables
    due = first_answer_due(connection)
    return {
        "holds_active": _by(connection, "holds", "kind", t["holds"].c.released_at.is_(None)),
        "requests_open": _by(connection, "requests", "kind", t["requests"].c.closed_at.is_(None)),
        "requests_min_days_left": {(): (due - now).total_seconds() / 86_400 if due else 31.0},
        "tasks_open": _by(connection, "tasks", "kind", t["tasks"].c.closed_at.is_(None)),
        "audit_size": _one(connection, select(func.max(t["audit_head"].c.size))),
        "audit_age_seconds": _age(_scalar(connection, select(t["audit_head"].c.latest_at)), now),
    }


def capture_seconds(connection: Connection, recording_ids: Collection[str]) -> list[float]:
    """How long each of these took to be stored, once it was available and its call over.

    Never below zero, though platforms' clocks are not ours. Recordings that are gone by now are left out.
    """
    rows = metadata.tables["recordings"]
    columns = rows.c.stored_at, rows.c.available_at, rows.c.call_ended_at
    found = connection.execute(select(*columns).where(rows.c.stored_at.is_not(None), among(rows.c.id, recording_ids)))
    known = [(stored_at, [moment for moment in began if moment is not None]) for stored_at, *began in found]
    return [max(0.0, (stored_at - max(began)).total_seconds()) for stored_at, began in known if began]


def first_answer_due(connection: Connection) -> datetime | None:
    """The earliest deadline of the requests that nobody has answered; None where there is none.

    An answered request has met its deadline; while a person is being asked who they are, the deadline stands still.
    """
    requests = metadata.tables["requests"]
    unanswered = requests.c.closed_at.is_(None), requests.c.state == "received", requests.c.identity_asked_at.is_(None)
    moment: datetime | None = _scalar(connection, select(func.min(requests.c.due_at)).where(*unanswered))
    return moment


def by_state(connection: Connection) -> Values:
    """How many recordings there are, by state. Reads one entry of an index per recording."""
    return _by(connection, "recordings", "state")


def _canaries(connection: Connection, now: datetime) -> Figures:
    latest = canaries.latest(connection)
    return {
        "canary_failed": {(one.line,): float(one.failed is not None) for one in latest},
        "canary_age_seconds": {(one.line,): (now - one.ran_at).total_seconds() for one in latest},
    }


def _keys(connection: Connection, now: datetime) -> Figures:
    """Reads a hundred or so rows: those of destroyed keys stay too, but are not read."""
    keys, today = metadata.tables["keys"], utc_day(now)
    live = select(keys.c.purpose, keys.c.day, keys.c.state).where(keys.c.state.in_(("ready", "closing")))
    rows = connection.execute(live).all()
    due = {"day": f"{today:%Y%m%d}", "inbox": f"{today - timedelta(days=INBOX_DAYS):%Y%m%d}"}
    ahead = sum(row.purpose == "day" and row.state == "ready" and row.day >= due["day"] for row in rows)
    overdue: Values = {
        (purpose,): float(sum(row.purpose == purpose and row.day < day for row in rows)) for purpose, day in due.items()
    }
    return Figures(keys_ahead={(): float(ahead)}, keys_overdue=overdue)


def _by(connection: Connection, table: str, column: str, *conditions: ColumnElement[bool]) -> Values:
    rows = metadata.tables[table]
    label = rows.c[column]
    found = connection.execute(select(label, func.count()).where(*conditions).group_by(label))
    return {(str(value),): float(number) for value, number in found}


def _one(connection: Connection, statement: Select[Any]) -> Values:
    return {(): float(connection.execute(statement).scalar() or 0)}


def _waiting(
    connection: Connection, which: ColumnElement[bool], since: ColumnElement[datetime], now: datetime
) -> tuple[Values, Values]:
    """How many wait, and how long the first of them has waited.

    Asked in one statement: for the first alone, SQLite would go through an index of all that ever waited.
    """
    count, first = connection.execute(select(func.count(), func.min(since)).where(which)).one()
    return {(): float(count)}, _age(first, now)


def _age(moment: datetime | None, now: datetime) -> Values:
    return {(): (now - moment).total_seconds() if moment else 0.0}


def _scalar(connection: Connection, statement: Select[Any]) -> Any:
    return connection.execute(statement).scalar()
