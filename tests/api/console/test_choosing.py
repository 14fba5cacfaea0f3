"""A request about more calls than a page holds: what is ticked on every page is what is approved, and nobody approves
what they have not been shown.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from api.console import subject_requests as requests_page
from recorder import subject_requests
from tests.api.conftest import CUSTOMER, House
from tests.api.console.forms import POST, page, post
from tests.recorder.asking import DPO, many, matches


@pytest.fixture
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_page, "PAGE", 3)


def approved(house: House, request_id: str) -> set[str]:
    return {one.recording_id for one in matches(house.service, request_id) if one.approved}


def a_long_request(house: House, kind: str = "access", calls: int = 7) -> tuple[str, list[str]]:
    """A request about more recordings than a page shows, with pages of three; its id and those, the oldest first."""
    stored = [house.stored(f"pbx-{n}", account="A-1001") for n in range(calls)]
    request = subject_requests.open_request(house.service, kind, phone=CUSTOMER, actor=DPO, now=house.clock())
    return request.id, stored


def offered(text: str) -> list[str]:
    return re.findall(r'type="checkbox" name="recording" id="[^"]+" value="([^"]+)"', text)


def to(text: str, words: str) -> str:
    """Where a button that leads to another page of a request sends its form."""
    found = re.search(rf'formaction="([^"]+)" formnovalidate>[^<]*{words}', text)
    assert found is not None
    return unescape(found[1])


def shown(text: str) -> str:
    found = re.search(r'name="shown" value="([^"]+)"', text)
    assert found is not None
    return found[1]


async def sent(house: House, path: str, text: str, ticked: list[str], **words: str) -> Any:
    """A page of a request sent by one of its buttons, with these of its boxes ticked."""
    fields = [("shown", shown(text)), *(("recording", one) for one in ticked), *words.items()]
    return await house.client.post(path, data=fields, headers=POST)


async def test_what_is_ticked_on_every_page_is_what_is_approved(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    assert offered(first) == stored[:3]
    assert "7 of 7 chosen" in first

    second = await (await sent(house, to(first, "Later calls"), first, stored[:2])).text()
    assert (offered(second), "6 of 7 chosen" in second) == (stored[3:6], True)
    third = await (await sent(house, to(second, "Later calls"), second, stored[4:6])).text()
    asked = await sent(house, f"/console/requests/{request}/approve", third, [], identity="callback")
    text = await asked.text()
    assert "Give 4 of 7 recordings?" in text
    assert approved(house, request) == set()

    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None
    done = await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])
    assert "4 of 7 given" in await done.text()
    assert approved(house, request) == {stored[0], stored[1], stored[4], stored[5]}


async def test_who_changes_the_choice_meanwhile_is_not_overlooked(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    text = await (
        await sent(house, f"/console/requests/{request}/approve", first, stored[:3], identity="callback")
    ).text()
    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None

    subject_requests.choose(house.service, request, stored[:1], [])
    again = await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])

    text = await again.text()
    assert ("Give 6 of 7 recordings?" in text, "has changed since you were asked" in text) == (True, True)
    assert approved(house, request) == set()


async def test_all_are_left_out_and_few_chosen_again(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    none = await (await post(house, f"/console/requests/{request}/choose", all="none")).text()
    assert "0 of 7 chosen" in none
    refused = await post(house, f"/console/requests/{request}/approve", identity="callback")
    assert (refused.status, "Choose at least one recording" in await refused.text()) == (400, True)

    answer = await sent(house, f"/console/requests/{request}/approve", none, stored[1:2], identity="callback")

    assert "1 of 7 given" in await answer.text()
    assert approved(house, request) == {stored[1]}


async def test_those_left_out_are_shown_by_themselves(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    subject_requests.choose(house.service, request, stored, [stored[0], *stored[2:6]])
    await house.signed_in("dpo")

    text = await page(house, f"/console/requests/{request}?show=left_out")
    assert offered(text) == [stored[1], stored[6]]
    answer = await sent(house, to(text, "Show all"), text, [stored[6]])
    assert "6 of 7 chosen" in await answer.text()


async def test_what_the_customer_directory_doubts_is_chosen_by_hand_only(house: House, pages_of_three: None) -> None:
    others = house.stored("pbx-x", account="A-0001")
    request, _ = a_long_request(house)
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/requests/{request}/choose", all="proposed")).text()

    assert "7 of 8 chosen" in text
    assert offered(text)[0] == others
    assert f'value="{others}" checked' not in text


async def test_a_page_that_deletes_speaks_of_giving_nothing(house: House) -> None:
    request, _ = a_long_request(house, "withdrawal", 2)
    await house.signed_in("dpo")
    text = await page(house, f"/console/requests/{request}")

    assert "Choose the call of 3\xa0Sept\xa02026 10:12" in text
    assert re.findall(r"\b[Gg]ive", text) == []


async def test_p4_a_long_withdrawal_deletes_what_is_chosen_on_all_pages(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house, "withdrawal")
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    asked = await sent(house, f"/console/requests/{request}/approve", first, stored[:3], identity="callback")
    text = await asked.text()
    assert "Delete 7 of 7 recordings for good?" in text
    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None

    await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])

    assert [one for one in stored if one in await page(house, "/console/recordings")] == []


async def test_thousands_are_approved_at_once(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    request = address.rpartition("/")[2]
    many(house.service, request, 2500)

    answer = await sent(house, f"{address}/approve", await page(house, address), [recording], identity="callback")

    assert (answer.status, approved(house, request)) == (200, {recording})  # the others are gone meanwhile
    assert "Link sent" in await answer.text()
