"""All of a person's calls at once: one question, one choice for all of them, and what cannot go yet is said."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from recorder import disclosure, erasure, holds
from storage.catalogue import holds as hold_rows
from storage.tables import metadata
from tests.api.access.entering import entered, only_request, post, sources, theirs
from tests.api.conftest import SAME_ORIGIN, Client, House
from tests.recorder.asking import DPO, granted, request_row, stored

ALL = "/access/recordings/withdraw"


@pytest.fixture
def calls(house: House) -> list[str]:
    """Three recordings, and a link to them."""
    made = [stored(house.service, house.clock, f"pbx-{n}") for n in range(3)]
    granted(house.service, house.clock)
    return made


@pytest.fixture
def browser(house: House) -> Client:
    return house.client


def states(house: House) -> dict[str, str]:
    rows = metadata.tables["recordings"]
    with house.service.database.read() as connection:
        return {row.id: row.state for row in connection.execute(select(rows.c.id, rows.c.state))}


def withdrawals(house: House) -> int:
    rows = metadata.tables["consents"]
    with house.service.database.read() as connection:
        return len(connection.execute(select(rows.c.id).where(rows.c.decision == "withdrawn")).all())


async def test_all_calls_go_at_one_word_and_leave_receipts(
    house: House, browser: Client, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosure, "PAGE", 2)
    request = only_request(house)
    page = await entered(house)
    assert "Fortryd dit samtykke til alle 3 samtaler" in page
    asked = await (await browser.get(ALL)).text()
    assert "Det gælder alle 3 samtaler på din liste." in asked
    assert "Slet 3 samtaler nu" in asked
    assert list(states(house).values()) == ["stored"] * 3

    done = await post(browser, ALL, choice="delete_now")
    receipt = await done.text()
    assert done.status == 200
    assert "Dine samtaler bliver slettet" in receipt
    numbers = re.findall(r"crt_[a-z2-7]+", receipt)
    assert states(house) == dict.fromkeys(calls, "erasing")  # the store is waited for by nobody
    assert (await browser.get(sources(page)[0])).status == 404
    assert request_row(house.service, request).outcome == "deleted"

    assert erasure.finish_erasures(house.service, house.clock()) == 3
    found = [erasure.certificate(house.service, number) for number in numbers]
    assert [(one["recording_id"], one["reason"], one["ordered_by"]) for one in found] == [
        (call, "withdrawn", "customer") for call in calls
    ]


async def test_nothing_is_done_without_a_choice(house: House, browser: Client, calls: list[str]) -> None:
    await entered(house)
    asked = await post(browser, ALL)
    assert (asked.status, 'value="copy_first"' in await asked.text()) == (409, True)
    assert (await post(browser, ALL, choice="maybe")).status == 400
    foreign = await browser.post(ALL, data={"choice": "delete_now"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status == 403
    browser.session.cookie_jar.clear()
    stranger = await browser.post(ALL, data={"choice": "delete_now"}, headers=SAME_ORIGIN)
    assert stranger.status == 404
    assert (states(house), withdrawals(house)) == (dict.fromkeys(calls, "stored"), 0)


async def test_copies_come_first_for_all_or_none_and_asking_twice_changes_nothing(
    house: House, browser: Client, calls: list[str]
) -> None:
    await entered(house)
    for _ in range(2):
        waits = await (await post(browser, ALL, choice="copy_first")).text()
        assert "Vi venter med at slette, til du har fået dine kopier" in waits
        assert "crt_" not in waits
    assert (states(house), withdrawals(house)) == (dict.fromkeys(calls, "stored"), 3)

    page = await (await browser.get("/access/recordings")).text()
    assert theirs(page) == calls
    assert "Jeg har mine kopier: slet alle 3 samtaler" in page
    asked = await (await browser.get(ALL)).text()
    assert 'value="copy_first"' not in asked

    gone = await (await post(browser, ALL, choice="delete_now")).text()
    assert len(re.findall(r"crt_[a-z2-7]+", gone)) == 3
    assert "siden kan ikke vises igen" in gone
    assert states(house) == dict.fromkeys(calls, "erasing")
    assert (await post(browser, ALL, choice="delete_now")).status == 404  # with the last call, the link went


async def test_what_is_held_waits_and_is_said(house: House, browser: Client, calls: list[str]) -> None:
    holds.place(house.service, calls[1], "legal", "case 7", DPO, house.clock())
    await entered(house)
    asked = await (await browser.get(ALL)).text()
    assert "1 samtale må vente" in asked
    assert "Gem din kopi, før du fortryder" in asked
    assert "Slet 2 samtaler nu" in asked

    receipt = await (await post(browser, ALL, choice="delete_now")).text()
    assert "1 samtale skal bruges i en juridisk sag" in receipt
    assert len(re.findall(r"crt_[a-z2-7]+", receipt)) == 2
    assert "siden kan ikke vises igen" not in receipt  # the list of calls has the numbers
    assert states(house) == dict.fromkeys(calls, "erasing") | {calls[1]: "stored"}

    again = await post(browser, ALL, choice="delete_now")  # of which nothing more can go
    page = await again.text()
    assert (again.url.path, withdrawals(house)) == ("/access/recordings", 1)
    assert (theirs(page), ALL in page) == ([], False)


async def test_no_copy_is_promised_of_what_would_be_gone_at_once(
    house: House, browser: Client, calls: list[str]
) -> None:
    """The officer let go of what their request held of one of them."""
    await entered(house)
    with house.service.database.read() as connection:
        (hold,) = hold_rows.standing(connection, [calls[0]])[calls[0]]
    holds.release(house.service, hold.id, DPO, house.clock())

    assert 'value="copy_first"' not in await (await browser.get(ALL)).text()
    assert (await post(browser, ALL, choice="copy_first")).status == 409
    assert states(house) == dict.fromkeys(calls, "stored")


async def test_one_call_is_not_all(house: House, browser: Client) -> None:
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    assert ALL not in await entered(house)
