"""Requests of customers over JSON: listed by deadline, opened, approved, their links sent again or closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from recorder import subject_requests
from storage.catalogue import links
from tests.api.conftest import CUSTOMER, House
from tests.api.problems import problem
from tests.recorder.asking import DPO, many


async def test_open_requests_come_page_by_page_the_first_due_first(house: House) -> None:
    """Many are due on the same day; what is closed or moved meanwhile hides no other."""
    headers, recording = house.bearer("dpo"), house.stored()
    days = [house.clock() - timedelta(days=n) for n in (3, 3, 3, 3, 0, 1)]
    made = [
        subject_requests.open_request(
            house.service, "access", phone=CUSTOMER, received_at=day, actor=DPO, now=house.clock()
        )
        for day in days
    ]
    expected = [one.id for one in sorted(made, key=lambda one: (one.due_at, one.id))]
    address = "/v1/subject-requests"
    first = await (await house.client.get(address, params={"limit": "2"}, headers=headers)).json()
    assert first["items"][0] == await (await house.client.get(f"{address}/{expected[0]}", headers=headers)).json()

    subject_requests.refuse(house.service, expected[1], DPO, house.clock())  # the last one shown
    subject_requests.refuse(house.service, expected[2], DPO, house.clock())
    seen, page = [one["id"] for one in first["items"]], first
    while page["next"]:
        onward = {"limit": "2", "cursor": page["next"]}
        page = await (await house.client.get(address, params=onward, headers=headers)).json()
        seen += [one["id"] for one in page["items"]]
    assert seen == [*expected[:2], *expected[3:]]
    assert page["items"][-1]["matches"] == [recording]

    recordings = await house.client.get("/v1/recordings", params={"cursor": first["next"]}, headers=headers)
    assert await problem(recordings) == (400, "cursor_invalid")
    for wrong in ({"cursor": "AAAA"}, {"limit": "201"}, {"phone": CUSTOMER}):
        assert (await house.client.get(address, params=wrong, headers=headers)).status == 400
    for role in ("reviewer", "agent", "operator"):
        assert (await house.client.get(address, headers=house.bearer(role))).status == 403


async def test_a_request_is_opened_approved_and_its_link_sent_again(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")

    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    wish = await opened.json()
    assert opened.status == 201
    assert {**wish, "id": "", "received_at": ""} == {
        "id": "",
        "kind": "access",
        "state": "received",
        "received_at": "",
        "due_at": wish["due_at"],
        "matches": [recording],
    }
    address = f"/v1/subject-requests/{wish['id']}"
    approved = await house.client.post(
        f"{address}/approve", json={"recordings": [recording], "identity": {"method": "callback"}}, headers=headers
    )
    assert (approved.status, (await approved.json())["state"]) == (200, "answered")
    assert (await house.client.post(f"{address}/links", headers=headers)).status == 202
    late = await house.client.post(f"{address}/extend", headers=headers)
    assert await problem(late) == (409, "conflict")


async def test_thousands_are_approved_at_once(house: House) -> None:
    house.stored()
    headers = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    address = f"/v1/subject-requests/{(await opened.json())['id']}"
    many(house.service, address.rpartition("/")[2], 1500)
    found = (await (await house.client.get(address, headers=headers)).json())["matches"]

    answer = await house.client.post(
        f"{address}/approve", json={"recordings": found, "identity": {"method": "callback"}}, headers=headers
    )

    assert (len(found), answer.status) == (1501, 200)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recordings": "all", "identity": {"method": "callback"}},
        {"recordings": [1], "identity": {"method": "callback"}},
        {"recordings": ["rec_other"], "identity": {"method": "callback"}},
        {"recordings": [], "identity": {"method": "voice"}},
        {"recordings": [], "identity": "callback"},
    ],
)
async def test_an_approval_names_its_own_matches_and_a_known_method(house: House, body: dict[str, Any]) -> None:
    house.stored()
    headers = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    address = f"/v1/subject-requests/{(await opened.json())['id']}/approve"
    assert await problem(await house.client.post(address, json=body, headers=headers)) == (400, "invalid_input")


async def test_links_are_closed_by_their_request(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")
    wish = {"kind": "access", "phone": CUSTOMER}
    request = (await (await house.client.post("/v1/subject-requests", json=wish, headers=headers)).json())["id"]
    address = f"/v1/subject-requests/{request}"
    assert await problem(await house.client.delete(address + "/links", headers=headers)) == (409, "conflict")

    approval = {"recordings": [recording], "identity": {"method": "callback"}}
    await house.client.post(address + "/approve", json=approval, headers=headers)
    for _ in range(2):
        assert (await house.client.delete(address + "/links", headers=headers)).status == 204
    with house.service.database.read() as connection:
        assert [link.state for link in links.of_request(connection, request)] == ["revoked"]
    shown = await (await house.client.get(address, headers=headers)).json()
    assert (shown["state"], shown["matches"]) == ("answered", [recording])
