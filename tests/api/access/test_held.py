"""A call that something else holds too: the person's page says what is so, and promises no copy that cannot be had."""

from __future__ import annotations

import pytest

from recorder import holds
from storage.catalogue import holds as hold_rows
from tests.api.access.entering import downloads, entered, post, sources
from tests.api.conftest import Client, House
from tests.recorder.asking import DPO, granted, stored

ONE = "/access/recordings/"


@pytest.fixture
async def recording_id(house: House) -> str:
    found = stored(house.service, house.clock)
    granted(house.service, house.clock)
    return found


@pytest.fixture
def browser(house: House) -> Client:
    return house.client


async def test_who_withdraws_under_a_legal_hold_is_not_sent_for_a_copy(
    house: House, browser: Client, recording_id: str
) -> None:
    """From the withdrawal on, nobody hears it for anything but the hold: a copy comes before."""
    holds.place(house.service, recording_id, "legal", "case 7", DPO, house.clock())
    (source,) = sources(await entered(house))
    assert (await browser.get(source)).status == 200

    asked = await (await browser.get(ONE + recording_id + "/withdraw")).text()
    assert "Gem din kopi, før du fortryder" in asked
    assert "Slet samtalen nu" not in asked
    receipt = await (await post(browser, ONE + recording_id + "/withdraw", choice="copy_first")).text()
    assert "Sletningen er sat på pause" in receipt
    assert "Gem en kopi" not in receipt

    page = await (await browser.get("/access/recordings")).text()
    assert (sources(page), downloads(page)) == ([], [])
    assert "Jeg har min kopi" not in page
    assert "Sletningen er sat på pause" in page
    assert (await browser.get(source)).status == 403


async def test_a_restricted_call_has_no_player_that_stays_silent(
    house: House, browser: Client, recording_id: str
) -> None:
    holds.place(house.service, recording_id, "restriction", None, DPO, house.clock())
    page = await entered(house)

    assert (sources(page), downloads(page)) == ([], [])
    assert "kan ikke høres her lige nu" in page


async def test_what_nobody_holds_for_them_is_not_said_to_wait(house: House, browser: Client, recording_id: str) -> None:
    """The officer let go of what their request held: it is deleted on its day, though the link works longer."""
    house.clock.advance(days=75)
    house.service.keyring.ensure(house.clock())
    granted(house.service, house.clock)
    assert "til du har fået din kopi" in await entered(house)
    with house.service.database.read() as connection:
        standing = hold_rows.standing(connection, [recording_id])[recording_id]
    for hold in standing:
        holds.release(house.service, hold.id, DPO, house.clock())

    page = await (await browser.get("/access/recordings")).text()
    assert "til du har fået din kopi" not in page
    assert "Den bliver automatisk slettet" in page
