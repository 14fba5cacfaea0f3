"""Signing in and out, how long a session lasts, and the language kept from page to page."""

from __future__ import annotations

import re
from html import unescape

from yarl import URL

from recorder import tokens
from recorder.actors import SYSTEM
from tests.api.conftest import House
from tests.api.console.forms import POST, page, post


async def test_signing_in_sets_a_strict_cookie_and_signing_out_ends_it_on_the_server(house: House) -> None:
    answer = await house.client.post(
        "/console/sign-in", data={"token": house.token("dpo")}, headers=POST, allow_redirects=False
    )
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 303
    assert re.fullmatch(r"staff=[\w-]{43}; HttpOnly; Path=/; SameSite=Strict", cookie)

    assert "Overview" in await page(house, "/console/")
    kept = {"Cookie": cookie.partition(";")[0]}
    await post(house, "/console/sign-out")
    again = await house.client.get("/console/", headers=kept, allow_redirects=False)
    assert (again.status, again.headers["Location"]) == (303, "/console/sign-in")


async def test_a_session_ends_after_half_an_hour_of_nothing_but_not_while_it_is_used(house: House) -> None:
    await house.signed_in("dpo")
    for _ in range(3):
        house.clock.advance(minutes=29)
        await page(house, "/console/")
    house.clock.advance(minutes=31)
    answer = await house.client.get("/console/", allow_redirects=False)
    assert answer.headers["Location"] == "/console/sign-in"


async def test_a_session_ends_with_the_working_day(house: House) -> None:
    await house.signed_in("dpo")
    for _ in range(19):
        house.clock.advance(minutes=25)
        await page(house, "/console/")
    house.clock.advance(minutes=10)
    assert (await house.client.get("/console/", allow_redirects=False)).status == 303


async def test_every_page_says_when_the_session_ends_and_staying_moves_that(house: House) -> None:
    await house.signed_in("dpo")
    house.clock.advance(seconds=50)
    assert 'data-ending="1750"' in await page(house, "/console/")  # so little is not worth a write
    house.clock.advance(minutes=20)
    assert (await (await post(house, "/console/stay")).text()) == "1800"
    for _ in range(16):
        house.clock.advance(minutes=28)
        await page(house, "/console/requests")

    assert (await (await post(house, "/console/stay")).text()) == "670"  # of eight hours
    house.clock.advance(seconds=670)
    assert (await post(house, "/console/stay")).status == 401


async def test_a_revoked_tokens_sessions_open_nothing(house: House) -> None:
    await house.signed_in("dpo")
    (token,) = tokens.list_tokens(house.service)
    tokens.revoke(house.service, token.id, house.clock(), actor=SYSTEM)
    assert (await house.client.get("/console/", allow_redirects=False)).status == 303


async def test_every_language_switch_leads_to_a_page(house: House) -> None:
    house.stored()
    await house.signed_in("dpo")
    request = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path

    for path in (
        "/console/requests",
        request + "/approve",
        request + "/extend",
        request + "/refuse",
        "/console/nowhere",
    ):
        answer = await post(house, path)
        switch = re.search(r'href="([^"]*)" lang=', await answer.text())
        if switch is not None:
            other = answer.url.join(URL(unescape(switch[1])))
            assert (await house.client.get(other.relative())).status == 200, path


async def test_the_language_switch_is_kept(house: House) -> None:
    answer = await house.client.get("/console/sign-in?lang=en", headers={"Accept-Language": "da"})
    assert '<html lang="en">' in await answer.text()
    again = await house.client.get("/console/sign-in", headers={"Accept-Language": "da"})
    assert '<html lang="en">' in await again.text()
