"""Taking the yes back: a copy first or not, a receipt that stays, and of two calls one."""

from __future__ import annotations

import re

from recorder import subject_requests
from tests.api.access.entering import downloads, entered, post, sources
from tests.api.conftest import Client, House
from tests.recorder.asking import DPO, ask, matches, stored
from tests.recorder.post import deliver_due


async def test_withdrawing_asks_whether_a_copy_comes_first(house: House, browser: Client) -> None:
    (source,) = sources(await entered(house))
    base = source.removesuffix("/audio")
    page = await (await browser.get(base + "/withdraw")).text()
    assert "Slet samtalen for altid?" in page

    asked = await post(browser, base + "/withdraw")
    assert asked.status == 409
    assert 'value="copy_first"' in await asked.text()
    assert (await post(browser, base + "/withdraw", choice="maybe")).status == 400
    assert (await browser.get(source)).status == 200

    waits = await post(browser, base + "/withdraw", choice="copy_first")
    assert "Vi venter med at slette, til du har fået din kopi" in await waits.text()
    assert (await browser.get(source)).status == 200
    recording_id = base.rpartition("/")[2]
    staff = await browser.get(f"/v1/recordings/{recording_id}/audio?purpose=quality", headers=house.bearer("reviewer"))
    assert staff.status in {403, 404}
    page = await (await browser.get("/access/recordings")).text()
    assert "Jeg har min kopi: slet den nu" in page

    gone = await post(browser, base + "/withdraw", choice="delete_now")
    text = await gone.text()
    assert "Samtalen er slettet" in text
    assert re.search(r"crt_[a-z2-7]+", text)
    assert "Gem nummeret, for siden kan ikke vises igen." in text
    assert (await browser.get(source)).status == 404


async def test_the_receipt_offers_no_way_to_lose_it(house: House, browser: Client) -> None:
    """What was posted is not there to be asked for again: another language would show a dead link in its place."""
    (source,) = sources(await entered(house))
    address = source.removesuffix("audio") + "withdraw"
    assert "hreflang" in await (await post(browser, address)).text()
    assert "hreflang" not in await (await post(browser, address, choice="copy_first")).text()
    assert "hreflang" not in await (await post(browser, address, choice="delete_now")).text()


async def test_of_two_calls_one_can_go(house: House, browser: Client) -> None:
    stored(house.service, house.clock, "pbx-2")
    request = ask(house.service, house.clock)
    chosen = [one.recording_id for one in matches(house.service, request.id)]
    subject_requests.approve(house.service, request.id, chosen, "callback", DPO, house.clock())
    deliver_due(house.service, house.clock())
    page = await entered(house)
    assert len(sources(page)) == len(downloads(page)) == 2
    assert "Dine samtaler med os" in page

    await post(browser, sources(page)[0].replace("audio", "withdraw"), choice="delete_now")
    page = await (await browser.get("/access/recordings")).text()
    assert len(sources(page)) == 1
    assert "Samtalen er slettet" in page
