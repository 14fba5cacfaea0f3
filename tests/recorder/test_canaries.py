"""Test calls that are made by themselves: what one line lacks is no other's trouble. The calls: tests/e2e."""

from __future__ import annotations

import re

from recorder import canary
from recorder.ports import Service
from storage.catalogue import canaries, figures, tasks
from tests.conftest import MovingClock


def test_a_line_that_cannot_be_called_is_a_task_and_the_next_is_called(service: Service, clock: MovingClock) -> None:
    path = service.settings.lines_path
    path.write_text(re.sub(r"(?m)^(consent = .*)$", r"\1\ncanary_minutes = 60", path.read_text("utf-8")), "utf-8")
    numbers = sorted(line.number for line in service.lines.all() if line.canary_minutes)
    assert len(numbers) > 1
    assert not service.settings.canary.number  # there is nobody to call from

    assert canary.run_due(service, clock()) == len(numbers)
    with service.database.read() as connection:
        assert [one.line for one in canaries.latest(connection) if one.failed] == numbers
        found = sorted(task.subject_id for task in tasks.open_tasks(connection) if task.kind == canary.TASK)
    assert found == numbers


def test_a_line_that_is_gone_wakes_nobody(service: Service, clock: MovingClock) -> None:
    with service.database.write() as connection:
        canaries.put(connection, "+4570129999", clock(), "called", ["never_arrived"])
        tasks.open_task(connection, canary.TASK, "+4570129999", clock())

    canary.run_due(service, clock())

    with service.database.read() as connection:
        assert figures.quick(connection, clock())["canary_failed"] == {}
        assert tasks.open_tasks(connection) == []
