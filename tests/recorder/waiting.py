"""What waits for people: the open tasks, the oldest first."""

from __future__ import annotations

from recorder.ports import Service
from storage.catalogue import tasks


def open_tasks(service: Service) -> list[tuple[str, str]]:
    """Kind and subject of each."""
    with service.database.read() as connection:
        return [(task.kind, task.subject_id) for task in tasks.open_tasks(connection)]


def kinds_of_tasks(service: Service) -> list[str]:
    return [kind for kind, _ in open_tasks(service)]
