"""The customer's way through the doors of production: what they see, and what scanners and strangers do not change."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from sqlalchemy import select

from api import limits
from api.app import create_app
from recorder import disclosure, listening, subject_requests
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import requests
from storage.tables import metadata
from tests.api.conftest import SAME_ORIGIN, House, speech
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, granted, link_rows, mails, matches, stored, texts, token, wrong
from tests.recorder.post import deliver_due

Client = TestClient[Any, Any]
Dial = Callable[[], Awaitable[Client]]


@pytest.fixture
def dial(service: Service, aiohttp_client: Callable[..., Awaitable[Client]]) -> Dial:
    """A new browser at the same house."""
    app = create_app(service)

    async def new() -> Client:
        return await aiohttp_client(app)

    return new


@pytest.fixture
async def browser(house: House) -> Client:
    """A browser at a house with one recording and one link sent."""
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    return house.client


async def post(client: Client, path: str, **fields: str) -> ClientResponse:
    return await client.post(path, data=fields, headers=SAME_ORIGIN)


async def asked_code(house: House) -> str:
    """Open the link of the latest mail, have a code sent, read it."""
    await post(house.client, "/access/open", token=token(house.service))
    assert (await post(house.client, "/access/code")).status == 200
    deliver_due(house.service, house.clock())
    found = re.search(r"\b\d{6}\b", texts(house.service)[-1]["text"])
    assert found is not None
    return found[0]


async def entered(house: House) -> str:
    """Their page, after link and code."""
    answer = await post(house.client, "/access/verify", code=await asked_code(house))
    assert (answer.status, answer.url.path) == (200, "/access/recordings")
    return await answer.text()


def only_request(house: House) -> str:
    with house.service.database.read() as connection:
        (request,) = requests.open_ones(connection)
    return request.id


def sources(page: str) -> list[str]:
    return re.findall(r'<(?:audio|source)\b[^>]*\bsrc="([^"]+)"', page)


def theirs(page: str) -> list[str]:
    """The ids of the recordings that can be heard on a page."""
    return [source.split("/")[3] for source in sources(page)]


def downloads(page: str) -> list[str]:
    return re.findall(r'<a\b[^>]*\bhref="([^"]+)"[^>]*\bdownload\b', page)


async def test_the_whole_way(house: House, browser: Client) -> None:
    page = await entered(house)
    ((source,), (copy,)) = sources(page), downloads(page)
    assert source.startswith("/access/recordings/")
    assert copy.startswith("/access/recordings/")

    heard = await browser.get(source, headers={"Range": "bytes=100-199"})
    whole = await browser.get(source)
    kept = await browser.get(source.replace("/audio", "/original"))
    saved = await browser.get(copy)

    assert (heard.status, whole.status, kept.status, saved.status) == (206, 200, 200, 200)
    assert heard.headers["Content-Range"] == f"bytes 100-199/{len(speech())}"
    assert await heard.read() == speech()[100:200]
    assert await whole.read() == await kept.read() == speech()
    assert kept.headers["Content-Disposition"] == 'attachment; filename="2026-09-03_samtale.wav"'
    assert saved.headers["Content-Disposition"] == 'attachment; filename="2026-09-03_samtale.mp3"'
    assert saved.headers["Content-Type"] == "audio/mpeg"
    assert (await saved.read())[:1] == b"\xff"


async def test_p6_one_person_is_sent_so_many_streams_at_once_and_no_more(
    house: House, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes memory, or an encoder, for as long as its reader likes. One that has ended makes room."""
    (source,) = sources(await entered(house))
    ways = [source, source.replace("/audio", "/original"), source.replace("/audio", "/download")]

    monkeypatch.setattr(limits, "STREAMS_AT_ONCE", 1)
    for path in ways * 2:
        answer = await browser.get(path)
        assert (answer.status, len(await answer.read()) > 0) == (200, True)

    monkeypatch.setattr(limits, "STREAMS_AT_ONCE", 0)
    for path in ways:
        refused = await browser.get(path)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert (await browser.get("/access/recordings")).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "bytes_"),
    [
        ("bytes=0-1", 206, 2),
        ("bytes=-5", 206, 5),
        ("bytes=96000-", 206, 44),
        ("bytes=999999-", 416, 0),
        ("bytes=0-1,5-6", 200, 96044),
        ("bytes=5-2", 200, 96044),
        ("lines=1-2", 200, 96044),
        ("bytes=" + "9" * 4000 + "-", 200, 96044),
    ],
)
async def test_ranges(house: House, browser: Client, asked: str, status: int, bytes_: int) -> None:
    (source,) = sources(await entered(house))
    answer = await browser.get(source, headers={"Range": asked})
    assert answer.status == status
    if status != 416:
        assert len(await answer.read()) == bytes_


async def test_the_page_states_the_facts(house: House, browser: Client) -> None:
    row = matches(house.service, link_rows_of(house)[0])[0].recording_id
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


def link_rows_of(house: House) -> list[str]:
    from storage.catalogue import requests

    with house.service.database.read() as connection:
        return [one.id for one in requests.open_ones(connection)]


async def test_nobody_has_listened_until_somebody_does(house: House, browser: Client) -> None:
    page = await entered(house)
    assert "Ingen har lyttet til den" in page
    (source,) = sources(page)
    await (await browser.get(source)).read()

    page = await (await browser.get("/access/recordings")).text()
    assert "Dig</strong>" not in page
    assert "Dig · Din ret til at høre den" in page


async def test_p5_a_copy_taken_is_noted_beside_listening_once_in_half_an_hour(house: House, browser: Client) -> None:
    page = await entered(house)
    ((source,), (copy,)) = sources(page), downloads(page)
    for address in (source, copy, copy, source.replace("/audio", "/original")):
        await (await browser.get(address)).read()

    log = metadata.tables["audit"]
    with house.service.database.read() as connection:
        acts = list(connection.execute(select(log.c.type).order_by(log.c.seq)).scalars())
    assert [act for act in acts if act in {"recording.listened", "recording.downloaded"}] == [
        "recording.listened",
        "recording.downloaded",
    ]
    assert "en kopi blev gemt" in await (await browser.get("/access/recordings")).text()


async def test_english_for_who_wants_it(house: House, browser: Client) -> None:
    await entered(house)
    page = await (await browser.get("/access/recordings?lang=en")).text()
    assert "Your call on 3\xa0September 2026 at\xa010:12" in page
    assert 'lang="en"' in page
    assert "Nobody has listened to it" in await (await browser.get("/access/recordings")).text()


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

    (row,) = link_rows(house.service, link_rows_of(house)[0])
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


async def test_p4_wrong_codes_tell_what_is_left_and_then_lock(house: House, browser: Client) -> None:
    digits = await asked_code(house)
    answer = await post(browser, "/access/verify", code=wrong(digits))
    page = await answer.text()
    assert answer.status == 400
    assert "Du har 4 forsøg tilbage." in page
    assert 'aria-invalid="true"' in page
    assert 'autocomplete="one-time-code"' in page

    for _ in range(4):
        await post(browser, "/access/verify", code=wrong(digits))
    house.clock.advance(minutes=2)
    digits = await asked_code(house)
    for _ in range(4):
        await post(browser, "/access/verify", code=wrong(digits))
    locked = await post(browser, "/access/verify", code=wrong(digits))
    assert locked.status == 403
    assert "Koden er tastet forkert for mange gange" in await locked.text()
    assert (await post(browser, "/access/verify", code=digits)).status == 404


async def test_p4_too_many_codes_are_refused_kindly(house: House, browser: Client) -> None:
    for _ in range(3):
        await asked_code(house)
        house.clock.advance(seconds=61)
    answer = await post(browser, "/access/code")
    assert answer.status == 429
    assert 'name="code"' in await answer.text()


async def test_p4_a_hundred_clients_at_once_share_the_tries(house: House, browser: Client, dial: Dial) -> None:
    digits = await asked_code(house)
    crowd = [await dial() for _ in range(100)]
    await asyncio.gather(*(post(one, "/access/open", token=token(house.service)) for one in crowd))
    answers = await asyncio.gather(*(post(one, "/access/verify", code=wrong(digits)) for one in crowd))
    pages = [await answer.text() for answer in answers]

    assert sum("Det er ikke den rigtige kode" in page for page in pages) == 5
    assert sum("Koden virker ikke længere" in page for page in pages) == 95


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


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_p4_another_sites_page_can_do_nothing(house: House, browser: Client, headers: dict[str, str]) -> None:
    await entered(house)
    for path in ("open", "code", "verify", "leave"):
        answer = await browser.post(f"/access/{path}", data={"token": token(house.service)}, headers=headers)
        assert answer.status == 403


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


async def test_neither_token_nor_number_reaches_the_log(
    house: House, browser: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    digits = await asked_code(house)
    await post(browser, "/access/verify", code=digits)
    logged = "".join(capfd.readouterr())
    for secret in (token(house.service), "20123456", "anna@example.com", f'"{digits}"'):
        assert secret not in logged


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


async def test_cookies_are_plain_on_loopback(house: House) -> None:
    cookie = (await post(house.client, "/access/open", token="A" * 43)).headers["Set-Cookie"]
    assert cookie.startswith("access=")
    assert "Secure" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


async def test_over_json_a_request_leads_to_the_same_mail(house: House, clock: MovingClock) -> None:
    recording_id = stored(house.service, clock)
    dpo = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": "+4520123456"}, headers=dpo
    )
    wish = await opened.json()
    assert (opened.status, wish["matches"], wish["due_at"][:10]) == (201, [recording_id], "2026-10-03")

    approved = await house.client.post(
        f"/v1/subject-requests/{wish['id']}/approve",
        json={"recordings": wish["matches"], "identity": {"method": "mitid"}},
        headers=dpo,
    )
    assert (approved.status, (await approved.json())["state"]) == (200, "answered")
    deliver_due(house.service, clock())
    assert len(mails(house.service)) == 1
    again = await house.client.post(f"/v1/subject-requests/{wish['id']}/links", json={}, headers=dpo)
    assert again.status == 202
    assert json.loads(await again.text())["id"] == wish["id"]


async def test_no_call_is_offered_where_none_can_be_made(house: House, browser: Client) -> None:
    opened = await post(browser, "/access/open", token=token(house.service))
    sent = await post(browser, "/access/code", by="call")
    deliver_due(house.service, house.clock())

    pages = await opened.text() + await sent.text()
    assert not re.search(r"læst op|læste op|ringer", pages)
    assert len(texts(house.service)) == 1, "who asks for one all the same gets an SMS"
