"""The session behind link and code: its cookie, what it opens and what not, when it ends, and that pages say so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.api.access.entering import Dial, entered, only_request, post, sources
from tests.api.conftest import SAME_ORIGIN, Client, House
from tests.recorder.asking import link_rows, stored, token


async def test_p4_what_is_anothers_is_not_there(house: House, browser: Client) -> None:
    other = stored(house.service, house.clock, "pbx-2", **{"from": "+4520123457", "account": "A-1002"})
    await entered(house)
    for path in ("audio", "download", "original", "withdraw"):
        assert (await browser.get(f"/access/recordings/{other}/{path}")).status == 404
        assert (await browser.get(f"/access/recordings/rec_unknown/{path}")).status == 404
    assert (await post(browser, f"/access/recordings/{other}/withdraw", choice="delete_now")).status == 404


async def test_p4_without_link_and_code_nothing_is_heard(house: House, browser: Client, dial: Dial) -> None:
    (source,) = sources(await entered(house))
    stranger = await dial()
    for path in (source, source.replace("audio", "download"), source.replace("audio", "original")):
        assert (await stranger.get(path)).status == 404
    await post(stranger, "/access/open", token=token(house.service))
    assert (await stranger.get(source)).status == 404
    page = await stranger.get("/access/recordings")
    assert (page.status, sources(await page.text())) == (404, [])


async def test_listening_keeps_the_session_open(house: House, browser: Client) -> None:
    (source,) = sources(await entered(house))
    for _ in range(3):
        house.clock.advance(minutes=50)
        assert (await browser.get(source, headers={"Range": "bytes=0-1"})).status == 206
    house.clock.advance(minutes=61)
    assert (await browser.get(source, headers={"Range": "bytes=0-1"})).status == 404


async def test_pages_say_when_the_session_really_ends(house: House, browser: Client) -> None:
    page = await entered(house)
    assert 'data-ending="3600"' in page
    house.clock.advance(minutes=4)
    assert 'data-ending="3360"' in await (await browser.get("/access/recordings")).text()
    house.clock.advance(minutes=52)
    asking = sources(page)[0].replace("audio", "withdraw")
    assert 'data-ending="240"' in await (await browser.get(asking)).text()

    assert await (await post(browser, "/access/stay")).text() == "3600"
    house.clock.advance(minutes=60)
    assert (await post(browser, "/access/stay")).status == 404


async def test_near_the_links_end_that_is_the_end(house: House, browser: Client) -> None:
    await entered(house)
    (link,) = link_rows(house.service, only_request(house))
    house.clock.now = link.expires_at - timedelta(minutes=10)
    await entered(house)

    assert await (await post(browser, "/access/stay")).text() == "600"


async def test_logging_out_ends_it(house: House, browser: Client) -> None:
    (source,) = sources(await entered(house))
    answer = await post(browser, "/access/leave")
    assert answer.url.path == "/access/"
    assert (await browser.get(source)).status == 404


class TestHttps:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {
            "RECORDER_HTTP__PUBLIC_URL": "https://samtale.flexii.dk",
            "RECORDER_MAIL__URL": "smtp://127.0.0.1:1",
            "RECORDER_SMS__URL": "http://127.0.0.1:1/sms",
        }

    async def test_cookies_are_tied_to_host_and_https(self, house: House) -> None:
        cookie = (await post(house.client, "/access/open", token="A" * 43)).headers["Set-Cookie"]
        assert cookie.startswith("__Host-access=")
        for flag in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert flag in cookie
        assert "Domain" not in cookie

    async def test_leaving_drops_the_cookie_in_a_way_browsers_take(self, house: House) -> None:
        answer = await house.client.post("/access/leave", headers=SAME_ORIGIN, allow_redirects=False)
        dropped = answer.headers["Set-Cookie"]
        assert dropped.startswith('__Host-access="";')
        for flag in ("Max-Age=0", "Secure", "Path=/"):
            assert flag in dropped


async def test_cookies_are_plain_on_loopback(house: House) -> None:
    cookie = (await post(house.client, "/access/open", token="A" * 43)).headers["Set-Cookie"]
    assert cookie.startswith("access=")
    assert "Secure" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
