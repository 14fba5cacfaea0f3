"""The overview: when the first answer is due, and the tasks that wait for somebody."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from sqlalchemy import update

from storage import audit
from storage.catalogue import tasks
from storage.tables import metadata
from tests.api.conftest import House
from tests.api.console.forms import page, post


async def test_the_overview_says_when_the_first_answer_is_due(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    assert re.search(r"first due in \d\d days", await page(house, "/console/"))

    await post(house, f"{address}/approve", recording=recording, identity="callback")
    answered = await page(house, "/console/")
    assert "open requests" in answered
    assert "first due" not in answered

    other = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    with house.service.database.write() as connection:
        requests = metadata.tables["requests"]
        late = update(requests).where(requests.c.id == other.rpartition("/")[2])
        connection.execute(late.values(due_at=house.clock() - timedelta(hours=30)))
    assert "past its deadline" in await page(house, "/console/")


async def test_tasks_wait_on_the_overview_until_somebody_has_seen_to_them(house: House) -> None:
    with house.service.database.write() as connection:
        tasks.open_task(connection, "class_unknown", "rec_x", house.clock())
    await house.signed_in("dpo")
    assert "complete the line table" in await page(house, "/console/")

    text = await (await post(house, "/console/tasks/close", kind="class_unknown", subject="rec_x")).text()
    assert "complete the line table" not in text
    *_, entry = audit.export(house.service.database)
    assert json.loads(entry)["entry"]["type"] == "task.closed"


async def test_the_overview_shows_the_oldest_of_any_number_of_tasks(house: House) -> None:
    with house.service.database.write() as connection:
        for number in range(1000):
            at = house.clock.advance(seconds=1)
            tasks.open_task(connection, "source_deletion_failed", f"src_{number:04}", at)
    await house.signed_in("dpo")

    text = await page(house, "/console/")

    shown = re.findall(r'name="subject" value="(\w+)"', text)
    assert shown == [f"src_{number:04}" for number in range(200)]
    assert "800 more wait behind them" in text
