"""A code read aloud by a call: asked for on the page, rung by Twilio, told only to who presses a key."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from urllib.parse import urlencode, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from recorder import access_links
from recorder.ports import Service
from storage.catalogue import tasks
from tests.api.conftest import SAME_ORIGIN, House
from tests.conftest import TWILIO_SID, TWILIO_TOKEN, MovingClock
from tests.recorder.asking import directory, granted, mails, stored, texts, token
from tests.recorder.post import deliver_due
from tests.servers.gateway import Gateway

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
READ = "Få koden læst op"


@pytest.fixture
def environment(environment: dict[str, str], gateway: Gateway) -> dict[str, str]:
    return environment | {
        "RECORDER_SMS__CALL_FROM": "+4570123456",
        "RECORDER_PLATFORMS__TWILIO__API_URL": gateway.url,
    }


def asked(service: Service, clock: MovingClock) -> str:
    """The cookie of who opened the link and asked for a call that has been started."""
    cookie = access_links.open_link(service, token(service), clock())
    assert access_links.send_code(service, cookie, clock(), "call")
    assert deliver_due(service, clock()) == 1
    return cookie


async def press(house: House, url: str, key: str, secret: str = TWILIO_TOKEN) -> tuple[int, str]:
    """What Twilio does when a key is pressed in the call it was told to start."""
    fields = {"AccountSid": TWILIO_SID, "CallSid": "CA" + "1" * 32, "Digits": key}
    parts = urlsplit(url)
    answer = await house.client.post(
        f"{parts.path}?{parts.query}",
        data=urlencode(fields).encode(),
        headers=FORM | {"X-Twilio-Signature": RequestValidator(secret).compute_signature(url, fields)},
    )
    return answer.status, await answer.text()


def action(gateway: Gateway) -> str:
    gathers = ET.fromstring(gateway.form()["Twiml"]).findall("Gather")
    assert len(gathers) == 2, "asked twice: people take a moment to reach the keys"
    return gathers[0].attrib["action"]


def heard(twiml: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(twiml) if element.tag == "Say"]


async def test_the_whole_way(house: House, gateway: Gateway) -> None:
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    opened = await house.client.post("/access/open", data={"token": token(house.service)}, headers=SAME_ORIGIN)
    assert READ in await opened.text()
    page = await house.client.post("/access/code", data={"by": "call"}, headers=SAME_ORIGIN)
    assert "Skriv koden, vi læste op" in await page.text()
    deliver_due(house.service, house.clock())
    status, said = await press(house, action(gateway), "1")

    words = heard(said)
    digits = "".join(word for word in words if len(word) == 1)
    assert (status, words[0], words[7]) == (200, "Din kode er", "Jeg gentager. Din kode er")
    assert digits[:6] == digits[6:]
    entered = await house.client.post("/access/verify", data={"code": digits[:6]}, headers=SAME_ORIGIN)
    assert entered.url.path == "/access/recordings"
    assert texts(house.service) == []


async def test_p4_the_call_itself_carries_no_code_and_nothing_personal_but_the_number(
    house: House, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answering machine presses no key, so it hears, and keeps, no code."""
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    asked(house.service, house.clock)
    told = gateway.form()
    _, said = await press(house, action(gateway), "1")
    digits = "".join(word for word in heard(said) if len(word) == 1)[:6]

    assert (told["To"], told["From"], told["Record"]) == ("+4520123456", "+4570123456", "false")
    assert digits not in told["Twiml"]
    spoken = "".join(ET.fromstring(told["Twiml"]).itertext())
    assert "Tryk 1 for at høre koden" in spoken
    assert not re.search(r"\d{3}", spoken)
    logs = "".join(capsys.readouterr())
    for secret in (digits, "20123456", token(house.service)):
        assert secret not in logs
        assert secret not in action(gateway)


async def test_p4_only_twilio_is_told_the_code_and_only_after_the_key(house: House, gateway: Gateway) -> None:
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    asked(house.service, house.clock)
    url = action(gateway)

    assert (await press(house, url, "1", secret="f" * 32))[0] == 401
    for key in ("", "2", "*", "11"):
        status, said = await press(house, url, key)
        assert (status, heard(said)) == (200, [])
    for other in (
        url.replace("version=0", "version=1"),
        url.replace("version=0", "version=x"),
        re.sub(r"cod_\w+", "cod_" + "a" * 26, url),
        url.partition("?")[0],
    ):
        status, said = await press(house, other, "1")
        assert (status, len(heard(said))) == (200, 1)
        assert "gælder ikke længere" in said


async def test_a_code_that_is_over_is_not_read(house: House, gateway: Gateway) -> None:
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    cookie = asked(house.service, house.clock)
    url = action(gateway)
    _, said = await press(house, url, "1")
    digits = "".join(word for word in heard(said) if len(word) == 1)[:6]
    assert access_links.verify_code(house.service, cookie, digits, house.clock()).outcome == "verified"
    assert "gælder ikke længere" in (await press(house, url, "1"))[1], "used"

    house.clock.advance(minutes=2)
    asked(house.service, house.clock)
    house.clock.advance(minutes=10)
    assert "gælder ikke længere" in (await press(house, action(gateway), "1"))[1], "too late"


@pytest.mark.parametrize(("first", "then"), [("sms", "call"), ("call", "sms")])
async def test_the_page_says_how_the_code_comes_and_not_how_it_was_asked_for_again(
    house: House, gateway: Gateway, first: str, then: str
) -> None:
    """Within a minute nothing more is sent: nobody is to wait for a call that does not come."""
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    await house.client.post("/access/open", data={"token": token(house.service)}, headers=SAME_ORIGIN)

    for by in (first, then):
        page = await house.client.post("/access/code", data={"by": by}, headers=SAME_ORIGIN)
        assert ("Skriv koden, vi læste op" in await page.text()) == (first == "call")
    deliver_due(house.service, house.clock())
    assert len(gateway.taken) == (1 if first == "call" else 0)


def test_calls_and_texts_share_their_limits(service: Service, clock: MovingClock, gateway: Gateway) -> None:
    stored(service, clock)
    granted(service, clock)
    cookie = access_links.open_link(service, token(service), clock())
    sent = []
    for by in ("call", "sms", "call", "sms"):
        sent.append(access_links.send_code(service, cookie, clock(), by))  # type: ignore[arg-type]  # one of the two
        access_links.send_code(service, cookie, clock(), "call")  # within a minute nothing more is sent
        deliver_due(service, clock())
        clock.advance(minutes=2)

    assert sent == ["call", "sms", "call", None]
    assert (len(gateway.taken), len(texts(service))) == (2, 1)


def test_a_landline_is_rung_even_where_a_text_was_asked_for(
    service: Service, clock: MovingClock, gateway: Gateway
) -> None:
    """No mobile on file: the subscription's own number is rung. The mail says so."""
    stored(service, clock)
    directory(service, "+4520123456,A-1001,anna@example.com,,private,en")
    granted(service, clock)
    access_links.send_code(service, access_links.open_link(service, token(service), clock()), clock())
    deliver_due(service, clock())

    body = mails(service)[0].get_body(("plain",))
    assert body is not None
    assert 'press "Have the code read to you".' in body.get_content()
    assert "We call the number ending in 56" in body.get_content()
    assert (gateway.form()["To"], texts(service)) == ("+4520123456", [])
    assert "Press 1 to hear it" in gateway.form()["Twiml"]


@pytest.mark.parametrize(
    ("number", "prefixes", "reached"),
    [
        ("+46812345678", "+45,+46", "call"),  # a Swedish fixed line
        ("+46701234567", "+45,+46", "sms"),
        ("+46812345678", "+45", None),
        ("+4590123456", "+45", None),  # costs extra
    ],
)
def test_who_is_texted_who_is_rung_and_who_is_neither(
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    clock: MovingClock,
    gateway: Gateway,
    number: str,
    prefixes: str,
    reached: str | None,
) -> None:
    environment["RECORDER_SMS__PREFIXES"] = prefixes
    service: Service = request.getfixturevalue("service")
    stored(service, clock)
    directory(service, f"+4520123456,A-1001,anna@example.com,{number},private,da")
    request_id = granted(service, clock)
    if reached is None:
        with service.database.read() as connection:
            assert [(task.kind, task.subject_id) for task in tasks.open_tasks(connection)] == [
                ("contact_missing", request_id)
            ]
        return
    access_links.send_code(service, access_links.open_link(service, token(service), clock()), clock())
    deliver_due(service, clock())
    assert (len(gateway.taken), len(texts(service))) == ((1, 0) if reached == "call" else (0, 1))
