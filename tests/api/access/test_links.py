"""P4: a link alone opens nothing: scanners use nothing up, dead links and live ones are answered alike and as fast, and
other sites can do nothing.
"""

from __future__ import annotations

import re
import statistics
import time

import pytest

from recorder import subject_requests
from tests.api.access.entering import Dial, asked_code, entered, only_request, post, sources
from tests.api.conftest import Client, House
from tests.recorder.asking import DPO, granted, link_rows, stored, token
from tests.recorder.post import deliver_due


async def test_the_landing_page_is_the_same_for_all(house: House, browser: Client, dial: Dial) -> None:
    first = await browser.get("/access/")
    stranger = await (await dial()).get("/access/?anything=1", headers={"Cookie": "access=x"})
    assert first.status == stranger.status == 200
    one, other = await first.text(), await stranger.text()
    assert one == other.replace("anything=1&amp;", "")
    assert "Set-Cookie" not in first.headers


async def test_p4_scanners_use_nothing_up(house: House, browser: Client, dial: Dial) -> None:
    """Everything a gateway, an antivirus or a preview does with a link, with and without JavaScript."""
    link = token(house.service)
    for _ in range(25):
        scanner = await dial()
        for path in ("/access/", f"/access/?x=#{link}", "/access/open", "/access/code", "/access/recordings"):
            await scanner.get(path)
            await scanner.head(path)
            await scanner.options(path)
        await post(scanner, "/access/open", token=link)
        await post(scanner, "/access/verify", code="")
        await post(scanner, "/access/verify", code="test@example.com")
    await post(scanner, "/access/code")

    (row,) = link_rows(house.service, only_request(house))
    assert (row.state, row.openings, row.failures) == ("open", 0, 0)
    house.clock.advance(seconds=61)
    assert sources(await entered(house))


async def test_p4_dead_links_get_one_and_the_same_answer(house: House, browser: Client, dial: Dial) -> None:
    service, clock = house.service, house.clock
    expired = token(service)
    clock.advance(days=31)
    service.keyring.ensure(clock())
    stored(service, clock, "pbx-2")
    request_id = granted(service, clock)
    replaced = token(service)
    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())
    revoked = token(service)
    subject_requests.revoke(service, request_id, DPO, clock())

    answers = set()
    for shown in ("A" * 43, "short", "", "#" * 5000, expired, replaced, revoked):
        client = await dial()
        seen: list[tuple[int, str]] = []
        opened = await post(client, "/access/open", token=shown)
        seen.append((opened.status, await opened.text()))
        assert re.search(r"access=[A-Za-z0-9_-]{43};", opened.headers["Set-Cookie"])
        for path, fields in (("/access/code", {}), ("/access/verify", {"code": "123456"})):
            refused = await post(client, path, **fields)
            seen.append((refused.status, await refused.text()))
        page = await client.get("/access/recordings")
        seen.append((page.status, await page.text()))
        answers.add(tuple(seen))

    assert len(answers) == 1
    (same,) = answers
    assert [status for status, _ in same] == [200, 404, 404, 404]
    assert "Linket virker ikke længere – få et nyt" in same[1][1]


async def test_p4_a_live_link_opens_with_the_very_answer_of_a_dead_one(house: House, browser: Client) -> None:
    dead = await post(browser, "/access/open", token="A" * 43)
    live = await post(browser, "/access/open", token=token(house.service))
    assert (dead.status, await dead.text()) == (live.status, await live.text())
    assert sorted(dead.headers) == sorted(live.headers)


async def test_p4_opening_takes_as_long_for_a_dead_link_as_for_a_live_one(house: House, browser: Client) -> None:
    live, dead = token(house.service), "A" * 43
    spent: dict[str, list[float]] = {live: [], dead: []}
    for _ in range(60):
        for shown, times in spent.items():
            began = time.perf_counter()
            await post(browser, "/access/open", token=shown)
            times.append(time.perf_counter() - began)

    fast, slow = sorted(statistics.median(times) for times in spent.values())
    assert slow < fast * 1.5


@pytest.mark.parametrize(
    "pasted", ["{}", " {} ", "http://127.0.0.1:8080/access/#{}", "<http://127.0.0.1:8080/access/#{}>"]
)
async def test_without_javascript_the_link_is_pasted(house: House, browser: Client, pasted: str) -> None:
    await post(browser, "/access/open", token=pasted.format(token(house.service)))
    assert (await post(browser, "/access/code")).status == 200
    assert deliver_due(house.service, house.clock()) == 1


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_p4_another_sites_page_can_do_nothing(house: House, browser: Client, headers: dict[str, str]) -> None:
    await entered(house)
    for path in ("open", "code", "verify", "leave"):
        answer = await browser.post(f"/access/{path}", data={"token": token(house.service)}, headers=headers)
        assert answer.status == 403


async def test_neither_token_nor_number_reaches_the_log(
    house: House, browser: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    digits = await asked_code(house)
    await post(browser, "/access/verify", code=digits)
    logged = "".join(capfd.readouterr())
    for secret in (token(house.service), "20123456", "anna@example.com", f'"{digits}"'):
        assert secret not in logged
