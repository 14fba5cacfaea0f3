"""What a person's page says: the facts of their calls, in their language, page by page, no script or style in it."""

from __future__ import annotations

import re

import pytest

from recorder import disclosure, listening
from recorder.actors import Actor
from tests.api.access.entering import entered, only_request, post, sources, theirs
from tests.api.conftest import Client, House
from tests.recorder.asking import granted, matches, stored


async def test_the_page_states_the_facts(house: House, browser: Client) -> None:
    row = matches(house.service, only_request(house))[0].recording_id
    listening.open_for_staff(
        house.service,
        row,
        actor=Actor("tok_secret_name", "reviewer"),
        purpose="training",
        rendition="playback",
        now=house.clock(),
    )
    page = await entered(house)
    for fact in (
        "Samtalen den 3.\xa0september 2026 kl.\xa010.12",
        "Gem en kopi",
        "Hvorfor har vi optaget samtalen?",
        "Kvalitetssikring",
        "Oplæring af medarbejdere",
        "Dokumentation af det, vi aftalte",
        "Du trykkede 1",
        "Må vi optage samtalen?",
        "Hvem har lyttet?",
        "En medarbejder · Oplæring af medarbejdere",
        "Hvornår bliver den slettet?",
        "2.\xa0december 2026 kl.\xa009.12",
        "Fortryd dit samtykke",
        "Datatilsynet",
        "databeskyttelse@flexii.dk",
    ):
        assert fact in page, fact
    for hidden in ("tok_secret_name", "+4520123456", "20123456", "A-1001", "anna@example.com", "a-17"):
        assert hidden not in page, hidden


async def test_english_for_who_wants_it(house: House, browser: Client) -> None:
    await entered(house)
    page = await (await browser.get("/access/recordings?lang=en")).text()
    assert "Your call on 3\xa0September 2026 at\xa010:12" in page
    assert 'lang="en"' in page
    assert "Nobody has listened to it" in await (await browser.get("/access/recordings")).text()


async def test_many_calls_come_page_by_page_and_every_one_once(
    house: House, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosure, "PAGE", 2)
    calls = [stored(house.service, house.clock, f"pbx-{n}") for n in range(2, 6)]
    granted(house.service, house.clock)
    page = await entered(house)
    assert "1 til 2 af 5, de ældste først" in page
    seen = theirs(page)
    while onward := re.search(r'rel="next" href="([^"]+)"', page):
        page = await (await browser.get("/access/recordings" + onward[1])).text()
        seen += theirs(page)

    assert (len(seen), seen[1:]) == (5, calls)
    assert (len(sources(page)), 'rel="prev"' in page) == (1, True)


async def test_from_a_later_page_the_way_back_leads_to_that_page(
    house: House, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosure, "PAGE", 2)
    calls = [stored(house.service, house.clock, f"pbx-{n}") for n in range(2, 6)]
    granted(house.service, house.clock)
    await entered(house)
    one = f"/access/recordings/{calls[2]}"

    asked = await (await browser.get(one + "/withdraw")).text()
    assert theirs(await _followed(browser, asked)) == calls[1:3]

    receipt = await (await post(browser, one + "/withdraw", choice="delete_now")).text()
    assert theirs(await _followed(browser, receipt)) == [calls[1], calls[3]]


async def _followed(browser: Client, page: str) -> str:
    """Where the link back to the calls leads."""
    back = re.search(r'href="(/access/recordings\?at=[^"]+)"', page)
    assert back is not None
    return await (await browser.get(back[1])).text()


async def test_pages_carry_no_inline_script_or_style(house: House, browser: Client) -> None:
    await entered(house)
    for path in ("/access/", "/access/open", "/access/code", "/access/recordings"):
        answer = await browser.get(path)
        page = await answer.text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), path
        assert re.findall(r"<script\b(?![^>]*\bsrc=)", page) == []
        assert all(src.startswith("/static/") for src in re.findall(r'<script[^>]*src="([^"]+)"', page))
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
