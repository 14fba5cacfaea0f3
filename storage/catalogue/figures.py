"""Counts for operators: how much there is of what, and how late. Nothing here names anybody or any recording."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from storage.tables import metadata

Values = dict[tuple[str, ...], float]
Figures = dict[str, Values]

# (name, help, labels): every label is a closed set of the schema's own words.
NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("recordings", "recordings by state", ("state",)),
    ("stored_bytes", "bytes of audio kept", ()),
    ("inbox_pending", "webhooks accepted and not yet applied", ()),
    ("inbox_oldest_seconds", "age of the oldest of them", ()),
    ("erasures_overdue", "recordings past their time and not held", ()),
    ("holds_active", "holds in force", ("kind",)),
    ("requests_open", "open requests of data subjects", ("kind",)),
    ("requests_min_days_left", "days until the first of them is due", ()),
    ("tasks_open", "tasks that wait for a person", ("kind",)),
    ("outbox_pending", "messages not yet handed over", ("kind",)),
    ("source_deletions_pending", "copies still lying at a platform", ()),
    ("audit_size", "entries of the audit log", ()),
)


def read(connection: Connection, now: datetime) -> Figures:
    """Every figure of `NAMES`, by its label values."""
    t = metadata.tables
    recordings, inbox, requests = t["recordings"], t["inbox"], t["requests"]
    oldest = _scalar(connection, select(func.min(inbox.c.received_at)).where(inbox.c.state == "new"))
    due = _scalar(connection, select(func.min(requests.c.due_at)).where(requests.c.closed_at.is_(None)))
    overdue = select(func.count()).where(
        recordings.c.state == "stored", recordings.c.holds == 0, recordings.c.expires_at <= now
    )
    return {
        "recordings": _by(connection, "recordings", "state"),
        "stored_bytes": _one(
            connection, select(func.sum(recordings.c.size_bytes)).where(recordings.c.state == "stored")
        ),
        "inbox_pending": _one(connection, select(func.count()).where(inbox.c.state == "new")),
        "inbox_oldest_seconds": {(): (now - oldest).total_seconds() if oldest else 0.0},
        "erasures_overdue": _one(connection, overdue),
        "holds_active": _by(connection, "holds", "kind", t["holds"].c.released_at.is_(None)),
        "requests_open": _by(connection, "requests", "kind", requests.c.closed_at.is_(None)),
        "requests_min_days_left": {(): (due - now).total_seconds() / 86_400 if due else 31.0},
        "tasks_open": _by(connection, "tasks", "kind", t["tasks"].c.closed_at.is_(None)),
        "outbox_pending": _by(connection, "outbox", "kind", t["outbox"].c.state == "new"),
        "source_deletions_pending": _one(
            connection, select(func.count()).where(t["source_deletions"].c.state == "new")
        ),
        "audit_size": _one(connection, select(func.max(t["audit_head"].c.size))),
    }


def _by(connection: Connection, table: str, column: str, *conditions: ColumnElement[bool]) -> Values:
    rows = metadata.tables[table]
    label = rows.c[column]
    found = connection.execute(select(label, func.count()).where(*conditions).group_by(label))
    return {(str(value),): float(number) for value, number in found}


def _one(connection: Connection, statement: Select[Any]) -> Values:
    return {(): float(connection.execute(statement).scalar() or 0)}


def _scalar(connection: Connection, statement: Select[Any]) -> Any:
    return connection.execute(statement).scalar()
