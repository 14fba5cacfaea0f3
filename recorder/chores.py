"""Tasks that wait for a person, and taking them off the list."""

from __future__ import annotations

from datetime import datetime

from recorder import sources
from recorder.actors import Actor
from recorder.errors import NotFoundError
from recorder.ports import Service
from storage import audit
from storage.catalogue import source_deletions, tasks
from storage.catalogue.tasks import Task

SHOWN = 200  # after a platform was away there may be one for every recording


def open_chores(service: Service) -> list[Task]:
    """The oldest open tasks, at most `SHOWN`."""
    with service.database.read() as connection:
        return tasks.open_tasks(connection, limit=SHOWN)


def close(service: Service, kind: str, subject_id: str, *, actor: Actor, now: datetime) -> None:
    """Take a task off the list. Raises `NotFoundError` where somebody did already."""
    with service.database.write() as connection:
        if not tasks.close_task(connection, kind, subject_id, actor.id, now):
            raise NotFoundError
        if kind == sources.FAILED:
            source_deletions.leave_to_people(connection, subject_id)
        audit.append(connection, type="task.closed", actor=actor.id, subject=subject_id, body={"kind": kind}, now=now)
