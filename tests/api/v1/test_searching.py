"""Finding recordings over JSON: by number, agent, queue, case, class and day, page by page without gap or repeat."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import CUSTOMER, House
from tests.api.problems import problem


async def test_search_finds_by_number_however_it_is_written(house: House) -> None:
    recording = house.stored()
    house.stored("pbx-2", **{"from": "+4520123499"})

    for phone in ("+4520123456", "20 12 34 56", "0045 20123456"):
        found = await house.client.post("/v1/recordings/search", json={"phone": phone}, headers=house.bearer("dpo"))
        assert [item["id"] for item in (await found.json())["items"]] == [recording]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"agent": "a-17"}, ["pbx-1"]),
        ({"queue": "sales"}, ["pbx-2"]),
        ({"case": "S-2"}, ["pbx-2"]),
        ({"agent": "a-17", "queue": "sales"}, []),
        ({"segment": "private_inbound"}, ["pbx-2", "pbx-1"]),
        ({"state": "failed"}, []),
        ({"from": "2026-09-03", "to": "2026-09-03"}, ["pbx-2", "pbx-1"]),
        ({"to": "2026-09-02"}, []),
    ],
)
async def test_search_by_agent_queue_case_class_and_day(house: House, body: dict[str, str], wanted: list[str]) -> None:
    house.stored("pbx-1", agent="a-17", queue="billing", case="S-1")
    house.stored("pbx-2", agent="a-18", queue="sales", case="S-2")

    found = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("reviewer"))
    assert [item["platform_call_id"] for item in (await found.json())["items"]] == wanted


@pytest.mark.parametrize("body", [{"phone": CUSTOMER}, {"account": "A-1001"}])
async def test_p4_reviewers_do_not_search_for_customers(house: House, body: dict[str, str]) -> None:
    answer = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("reviewer"))
    assert await problem(answer) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"phone": "not a number"},
        {"phone": 4520123456},
        {"agent": "x" * 5000},
        {"segment": "everything"},
        {"state": "gone"},
        {"from": "yesterday"},
        {"from": "2026-09-03T10:00:00"},
        {"to": "9999-12-31"},
        {"cursor": "x" * 900},
        {"limit": 0},
        {"limit": 201},
        {"limit": "50"},
        {"queue": ""},
        {"queue": " \t "},
        {"queue": "a\x00b"},
        {"case": "\ud800"},
        {"\ud800": "x"},
        {"telephone": CUSTOMER},
    ],
)
async def test_what_cannot_be_searched_for_is_400_and_not_repeated(house: House, body: dict[str, Any]) -> None:
    answer = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")
    assert CUSTOMER not in await answer.text()


async def test_numbers_cannot_stand_in_an_address(house: House) -> None:
    answer = await house.client.get("/v1/recordings", params={"phone": CUSTOMER}, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")


async def test_pages_follow_each_other_without_gap_or_repeat(house: House) -> None:
    made = [house.stored(f"pbx-{n}") for n in range(5)]
    headers, seen, cursor = house.bearer("dpo"), [], None
    while True:
        answer = await house.client.get(
            "/v1/recordings", params={"limit": "2"} | ({"cursor": cursor} if cursor else {}), headers=headers
        )
        page = await answer.json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_a_walk_meets_what_stays_once_whatever_comes_or_goes(house: House) -> None:
    made = [house.stored(f"pbx-{n}", queue="billing") for n in range(6)][::-1]
    headers, seen = house.bearer("dpo"), []
    page = await (await house.client.get("/v1/recordings?queue=billing&limit=2", headers=headers)).json()
    seen += [item["id"] for item in page["items"]]

    newer = house.stored("pbx-9", queue="billing")  # stands before what has been shown
    for gone in (made[1], made[2]):  # the last one shown, which the cursor names, and the next
        order = {"reason": "other"}
        assert (await house.client.delete(f"/v1/recordings/{gone}", json=order, headers=headers)).status == 200
    while page["next"]:
        address = f"/v1/recordings?queue=billing&limit=2&cursor={page['next']}"
        page = await (await house.client.get(address, headers=headers)).json()
        seen += [item["id"] for item in page["items"]]

    assert seen == [made[0], made[1], *made[3:]]
    assert newer not in seen


async def test_a_cursor_continues_its_own_search_only_and_cannot_be_made(house: House) -> None:
    for n in range(3):
        house.stored(f"pbx-{n}", queue="billing")
    headers, address = house.bearer("dpo"), "/v1/recordings"
    first = await house.client.get(address, params={"queue": "billing", "limit": "1"}, headers=headers)
    cursor = (await first.json())["next"]
    tampered = ("B" if cursor[0] == "A" else "A") + cursor[1:]

    onward = await house.client.get(address, params={"queue": "billing", "cursor": cursor}, headers=headers)
    assert len((await onward.json())["items"]) == 2  # as many as asked for, whatever the page before held
    for wrong in (
        {"cursor": cursor},
        {"queue": "sales", "cursor": cursor},
        {"queue": "billing", "cursor": tampered},
        {"queue": "billing", "cursor": "AAAA"},
        {"queue": "billing", "cursor": "æ"},
    ):
        answer = await house.client.get(address, params=wrong, headers=headers)
        assert await problem(answer) == (400, "cursor_invalid")
