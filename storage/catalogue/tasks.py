"""Things a person has to look at: a kind and the id of what it is about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from storage.catalogue.upsert import insert_new
from storage.clock import new_id
from storage.tables import TaskRow

tasks = TaskRow.__table__


@dataclass(frozen=True)
class Task:
    id: str
    kind: str
    subject_id: str
    opened_at: datetime


def open_task(connection: Connection, kind: str, subject_id: str, now: datetime) -> bool:
    """Open a task; False where the same one is open already."""
    row = {"id": new_id("tsk"), "kind": kind, "subject_id": subject_id, "opened_at": now}
    return bool(
        insert_new(connection, tasks, [row], conflict=["kind", "subject_id"], where=tasks.c.closed_at.is_(None))
    )


def close_task(connection: Connection, kind: str, subject_id: str, by: str, now: datetime) -> bool:
    """Close a task; False where none is open."""
    done = connection.execute(
        update(tasks)
        .where(tasks.c.kind == kind, tasks.c.subject_id == subject_id, tasks.c.closed_at.is_(None))
        .values(closed_at=now, closed_by=by)
    )
    return done.rowcount > 0


def any_open(connection: Connection, kinds: Collection[str], subject_id: str) -> bool:
    """Whether one of these kinds is open about it."""
    wanted = tasks.c.kind.in_(list(kinds)), tasks.c.subject_id == subject_id, tasks.c.closed_at.is_(None)
    return connection.execute(select(tasks.c.id).where(*wanted).limit(1)).first() is not None


def open_tasks(connection: Connection, *, kind: str | None = None, limit: int | None = None) -> list[Task]:
    """Open tasks, oldest first: all, those of one `kind`, or only the first `limit`, as there may be any number."""
    wanted = tasks.c.closed_at.is_(None) if kind is None else tasks.c.closed_at.is_(None) & (tasks.c.kind == kind)
    found = connection.execute(
        select(tasks.c.id, tasks.c.kind, tasks.c.subject_id, tasks.c.opened_at)
        .where(wanted)
        .order_by(tasks.c.opened_at, tasks.c.id)
        .limit(limit)
    )
    return [Task(*row) for row in found]
