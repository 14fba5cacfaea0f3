"""Requests of customers: opened from a telephone call, listed, said to be about whom, extended, refused, and answered
by a link.
"""

from __future__ import annotations

import re
from html import unescape

import pytest

from recorder import subject_requests
from storage.catalogue import links, requests
from tests.api.conftest import CUSTOMER, House
from tests.api.console.forms import page, post
from tests.recorder.asking import DPO
from tests.recorder.post import deliver_due


async def test_a_request_goes_from_the_phone_call_to_the_link(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")

    both = await post(house, "/console/requests", kind="access", phone="20123456", account="A-1001")
    assert both.status == 400
    answer = await post(house, "/console/requests", kind="access", phone="20123456")
    address, text = answer.url.path, await answer.text()
    assert re.fullmatch(r"/console/requests/req_\w+", address)
    assert f'value="{recording}" checked' in text
    assert "30 days left" in text

    unproven = await post(house, f"{address}/approve", recording=recording)
    assert unproven.status == 400
    answer = await post(house, f"{address}/approve", recording=recording, identity="callback")
    assert "Link sent" in await answer.text()
    assert "Link sent" in await (await post(house, f"{address}/links")).text()
    assert (await post(house, f"{address}/links/revoke")).status == 200
    with house.service.database.read() as connection:
        assert {link.state for link in links.of_request(connection, address.rpartition("/")[2])} == {"void", "revoked"}
    assert "Access" in await page(house, "/console/requests")


async def test_open_requests_are_listed_a_page_at_a_time(house: House) -> None:
    made = [
        subject_requests.open_request(house.service, "objection", phone=CUSTOMER, actor=DPO, now=house.clock()).id
        for _ in range(53)
    ]
    await house.signed_in("dpo")
    first = await page(house, "/console/requests")
    onward = re.search(r'href="([^"]+)">Due later<', first)
    assert onward is not None
    second = await page(house, unescape(onward[1]))

    listed = [re.findall(r'href="/console/requests/(req_\w+)"', text) for text in (first, second)]
    assert (len(listed[0]), len(listed[1]), sorted(listed[0] + listed[1])) == (50, 3, sorted(made))
    assert ("Back to the first" in first, "Back to the first" in second, "Due later" in second) == (False, True, False)

    for request in listed[1]:
        subject_requests.refuse(house.service, request, DPO, house.clock())
    assert "No further request is open." in await page(house, unescape(onward[1]))
    await page(house, "/console/requests?cursor=AAAA", status=400)


async def test_a_request_says_whom_it_is_about_while_it_is_open(house: House) -> None:
    await house.signed_in("dpo")
    for asked in ({"phone": "20 12 34 56"}, {"account": "A-<1>"}):
        await post(house, "/console/requests", kind="access", **asked)

    text = await page(house, "/console/requests")
    assert "ends in </span>56" in text
    assert "A-&lt;1&gt;" in text
    assert "123456" not in text.replace(" ", "")
    by_phone = await page(house, one_with(text, "ends in </span>56"))
    assert "+45 20 12 34 56" in by_phone.replace("\xa0", " ")
    assert "A-&lt;1&gt;" in await page(house, one_with(text, "A-&lt;1&gt;"))

    await post(house, one_with(text, "ends in </span>56") + "/refuse", reason="nothing_found")
    deliver_due(house.service, house.clock())
    subject_requests.due(house.service, house.clock())
    assert "No longer kept" in await page(house, one_with(text, "ends in </span>56"))


async def test_a_damaged_request_hides_no_other(house: House) -> None:
    damaged, sound = (
        subject_requests.open_request(house.service, "access", phone=phone, actor=DPO, now=house.clock())
        for phone in (CUSTOMER, "+4520123457")
    )
    with house.service.database.write() as connection:
        requests.change(connection, damaged.id, when=["received"], sealed=bytes(40))
    await house.signed_in("dpo")

    text = await page(house, "/console/requests")
    assert {damaged.id, sound.id} <= set(re.findall(r"req_\w+", text))
    assert "ends in </span>57" in text
    await page(house, f"/console/requests/{damaged.id}")


def one_with(text: str, words: str) -> str:
    """The address of the request in whose row these words are."""
    (row,) = [row for row in text.split("<tr>") if words in row]
    found = re.search(r'href="(/console/requests/req_\w+)"', row)
    assert found is not None
    return found[1]


async def test_a_request_can_be_extended_once_and_refused_with_a_reason(house: House) -> None:
    house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path

    assert "extended" in await (await post(house, f"{address}/extend")).text()
    assert (await post(house, f"{address}/extend")).status == 409
    assert "Refused" in await (await post(house, f"{address}/refuse", reason="not_theirs")).text()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"phone": "2012345"}, "This is not a telephone number."),
        ({"phone": "20123456", "received_at": "2999-01-01"}, "Give today, or an earlier day."),
        ({"phone": "20123456", "account": "A-1001"}, "Give a number, an account or a call, and only one of them"),
    ],
)
async def test_a_request_that_cannot_be_opened_says_why(house: House, fields: dict[str, str], said: str) -> None:
    await house.signed_in("dpo")
    answer = await post(house, "/console/requests", kind="access", **fields)
    text = unescape(await answer.text())

    assert answer.status == 400
    assert (said in text, all(value in text for value in fields.values())) == (True, True)
    assert ("only one of them" in text) == ("account" in fields)


async def test_a_refusal_may_be_as_long_as_the_page_says(house: House) -> None:
    """Browsers count a line's end once, and send it as two characters."""
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    words = "\r\n".join(["a line of forty characters, give or take."] * 47)
    assert len(words) > 2000 > len(words.replace("\r", ""))

    assert "Refused" in await (await post(house, f"{address}/refuse", reason="other", text=words)).text()
