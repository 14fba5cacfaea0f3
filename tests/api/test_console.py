"""The console as its people use it: forms, redirects and pages, without JavaScript."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import update
from yarl import URL

from api.console import searches
from api.console import subject_requests as requests_page
from recorder import subject_requests, tokens
from recorder.actors import SYSTEM
from recorder.errors import InvalidInputError
from storage import audit
from storage.catalogue import links, listenings, requests, source_deletions, tasks
from storage.tables import metadata
from tests.api.conftest import CUSTOMER, SAME_ORIGIN, House
from tests.recorder.asking import DPO, many, matches
from tests.recorder.post import deliver_due

ENGLISH = {"Accept-Language": "en"}
POST = SAME_ORIGIN | ENGLISH


@pytest.fixture
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_page, "PAGE", 3)


def approved(house: House, request_id: str) -> set[str]:
    return {one.recording_id for one in matches(house.service, request_id) if one.approved}


async def page(house: House, path: str, status: int = 200) -> str:
    answer = await house.client.get(path, headers=ENGLISH)
    assert answer.status == status
    return await answer.text()


async def post(house: House, path: str, **fields: str) -> Any:
    return await house.client.post(path, data=fields, headers=POST)


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


@pytest.mark.parametrize("role", ["operator", "auditor", "platform"])
async def test_roles_without_pages_are_refused_like_unknown_tokens(house: House, role: str) -> None:
    for token in (house.token(role), "rec_dpo_made-up", ""):
        answer = await post(house, "/console/sign-in", token=token)
        assert answer.status == 401
        assert "does not open the console" in await answer.text()
        assert "Set-Cookie" not in answer.headers


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


async def test_searching_by_number_leaves_no_number_in_the_address(house: House) -> None:
    recording = house.stored()
    house.stored("pbx-2", **{"from": "+4520123499"})
    await house.signed_in("dpo")

    answer = await post(house, "/console/recordings/search", phone="20 12 34 56")
    text = await answer.text()
    assert answer.url.path == "/console/recordings"
    assert "20123456" not in re.sub(r"\W", "", unquote(str(answer.url)))
    assert re.findall(r"/console/recordings/(rec_\w+)\"", text) == [recording]
    assert 'value="20 12 34 56"' in text


async def test_a_search_address_is_of_no_use_to_another_session_or_after_eight_days(house: House) -> None:
    sealed = searches.sealed(house.service, {"phone": CUSTOMER}, "ses_a", house.clock())
    assert searches.opened(house.service, sealed, "ses_a", house.clock()) == {"phone": CUSTOMER}

    unknown = f"a2V5X25vbmU.{sealed.split('.')[1]}"
    for text, session in (
        (sealed, "ses_b"),
        (sealed[:-2] + "AA", "ses_a"),
        (unknown, "ses_a"),
        ("x", "ses_a"),
        ("a.b.c", "ses_a"),
    ):
        with pytest.raises(InvalidInputError):
            searches.opened(house.service, text, session, house.clock())


async def test_the_search_page_keeps_what_was_typed_when_it_cannot_be_searched_for(house: House) -> None:
    await house.signed_in("dpo")
    answer = await post(house, "/console/recordings/search", phone="no number", queue="billing")
    text = await answer.text()
    assert answer.status == 400
    assert "This is not a telephone number." in text
    assert 'value="billing"' in text


@pytest.mark.parametrize("language", ["da", "en"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "10000-01-01"),
        ("to", "9999-12-31"),
        ("from", "0001-01-01"),
        ("from", "0000-01-01"),
        ("to", "275760-09-13"),
        ("to", "yesterday"),
        ("agent", "a\t17"),
        ("phone", "2012345"),
    ],
)
async def test_what_cannot_be_searched_for_is_said_beside_its_field(
    house: House, name: str, value: str, language: str
) -> None:
    await house.signed_in("dpo")
    sent = SAME_ORIGIN | {"Accept-Language": language}
    answer = await house.client.post("/console/recordings/search", data={name: value}, headers=sent)
    text = await answer.text()

    assert answer.status == 400
    field = re.search(rf'<input id="{name}"[^>]*>\s*<span class="error" id="{name}-error">([^<]+)', text)
    assert field is not None
    assert f'aria-describedby="{name}-error" aria-invalid="true"' in field[0]
    assert f'value="{value}"' in field[0]
    assert bool(re.search("[æøå]|nummer", field[1])) == (language == "da")


async def test_a_search_of_another_session_is_to_be_filled_in_again(house: House) -> None:
    await house.signed_in("dpo")
    address = str((await post(house, "/console/recordings/search", queue="billing")).url.relative())
    await house.signed_in("dpo")

    assert "This search has run out." in await page(house, address, status=400)


async def test_reviewers_and_agents_find_by_agent_queue_and_case_and_see_no_customer(house: House) -> None:
    recording = house.stored(agent="a-17", queue="billing", case="S-1", account="A-1001")
    house.stored("pbx-2", agent="a-18", queue="sales", case="S-2")
    for role in ("reviewer", "agent"):
        await house.signed_in(role)
        for field, value in (("agent", "a-17"), ("queue", "billing"), ("case", "S-1")):
            text = await (await post(house, "/console/recordings/search", **{field: value})).text()
            assert re.findall(r"/console/recordings/(rec_\w+)\"", text) == [recording]
            assert 'name="phone"' not in text
            assert "56</td>" not in text
        text = await page(house, f"/console/recordings/{recording}")
        assert CUSTOMER not in text
        assert "A-1001" not in text
        assert "Delete this recording" not in text


async def test_agents_must_narrow_and_never_hear(house: House) -> None:
    recording = house.stored(agent="a-17")
    await house.signed_in("agent")

    assert recording not in await page(house, "/console/recordings")
    answer = await post(house, "/console/recordings/search", state="stored")
    assert "Say which agent, queue or case" in await answer.text()
    assert "<audio" not in await page(house, f"/console/recordings/{recording}?purpose=quality")
    await page(house, f"/console/recordings/{recording}/audio?purpose=quality", status=403)


async def test_the_player_comes_after_a_purpose_and_hearing_is_noted_only_when_it_plays(house: House) -> None:
    recording = house.stored()
    await house.signed_in("reviewer")

    assert "<audio" not in await page(house, f"/console/recordings/{recording}")
    assert "<audio" not in await page(house, f"/console/recordings/{recording}?purpose=documentation")
    text = await page(house, f"/console/recordings/{recording}?purpose=quality")
    source = re.search(r'<audio[^>]* src="([^"]+)"', text)
    assert source is not None
    assert _noted(house, recording) == []

    answer = await house.client.get(source.group(1), headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.headers["Content-Type"]) == (206, "audio/wav")
    assert _noted(house, recording) == [("reviewer", "quality")]


async def test_deleting_shows_its_effect_then_the_certificate(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")

    text = await page(house, f"/console/recordings/{recording}/erase")
    assert "2 sealed objects are deleted and looked for again: the recording, the waveform" in text
    assert "From 3\xa0December 2026 no backup can open it either" in text
    assert text.count("Delete 1 recording for good") == 1

    unsure = await post(house, f"/console/recordings/{recording}/erase")
    assert (unsure.status, "Choose a reason." in await unsure.text()) == (400, True)
    done = await post(house, f"/console/recordings/{recording}/erase", reason="customer_request")
    text = await done.text()
    assert done.url.path == f"/console/certificates/{recording}"
    assert "Certificate of deletion" in text
    assert "The customer asked for it" in text
    assert "Unreadable in every backup from" in text
    await page(house, f"/console/recordings/{recording}", status=404)


async def test_the_exchanges_copy_is_said_to_go_only_where_it_does(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    goes = "The copy at the telephone exchange is deleted too."
    assert goes in await page(house, f"/console/recordings/{recording}/erase")
    with house.service.database.write() as connection:
        source_deletions.leave_to_people(connection, recording)
    assert goes not in await page(house, f"/console/recordings/{recording}/erase")


async def test_a_certificate_is_found_by_the_number_on_the_customers_receipt(house: House) -> None:
    recording = house.stored()
    request = subject_requests.open_request(house.service, "access", phone=CUSTOMER, actor=DPO, now=house.clock())
    await house.signed_in("dpo")
    done = await post(house, f"/console/recordings/{recording}/erase", reason="customer_request")
    number = re.search(r"crt_\w+", await done.text())
    assert number is not None

    assert 'action="/console/certificates"' in await page(house, "/console/recordings")
    found = await house.client.get("/console/certificates", params={"number": f" {number[0]}\n"}, headers=ENGLISH)
    assert (found.status, found.url.path) == (200, f"/console/certificates/{number[0]}")
    for unknown in ("crt_none", "../requests", "", "x" * 3000):
        answer = await house.client.get("/console/certificates", params={"number": unknown})
        assert answer.status == 404
    assert f'href="/console/certificates/{recording}"' in await page(house, f"/console/requests/{request.id}")


async def test_a_held_recording_cannot_be_deleted_until_its_hold_is_released(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/recordings/{recording}/holds", kind="legal", reason="case 7")).text()
    hold = re.search(r"/console/holds/(hld_\w+)/release", text)
    assert hold is not None
    assert "Legal claim" in text
    assert re.findall(r'id="p-(\w+)"', text) == ["quality", "training", "documentation", "access", "legal"]
    subject_requests.open_request(house.service, "access", phone=CUSTOMER, actor=DPO, now=house.clock())

    text = await page(house, f"/console/recordings/{recording}/erase")
    assert "It cannot be deleted now." in text
    assert "Legal claim, to be looked at by" in text
    assert "Open access request" not in text  # it warns, and forbids nothing
    assert "Delete 1 recording for good" not in text
    refused = await post(house, f"/console/recordings/{recording}/erase", reason="other")
    assert refused.status == 409

    for nowhere in ("", "../requests", "rec_æ"):  # what is refused has done nothing
        assert (await post(house, f"/console/holds/{hold.group(1)}/release", recording=nowhere)).status == 400
    assert "Legal claim" in await page(house, f"/console/recordings/{recording}")
    text = await (await post(house, f"/console/holds/{hold.group(1)}/release", recording=recording)).text()
    assert "Legal claim" not in text.partition("Place a hold")[0]
    assert "Delete 1 recording for good" in await page(house, f"/console/recordings/{recording}/erase")


@pytest.mark.parametrize(("kind", "told"), [("restriction", True), ("legal", False)])
async def test_the_person_is_told_before_a_restriction_is_lifted(house: House, kind: str, *, told: bool) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/recordings/{recording}/holds", kind=kind, reason="case 7")).text()
    assert ("Tell the person first" in text) == told


async def test_p3_past_its_second_no_page_shows_it(house: House) -> None:
    recording = house.stored()
    house.clock.advance(days=90)
    await house.signed_in("dpo")
    assert recording not in await page(house, "/console/recordings")
    await page(house, f"/console/recordings/{recording}", status=404)
    await page(house, f"/console/recordings/{recording}/erase", status=404)


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


def a_long_request(house: House, kind: str = "access", calls: int = 7) -> tuple[str, list[str]]:
    """A request about more recordings than a page shows, with pages of three; its id and those, the oldest first."""
    stored = [house.stored(f"pbx-{n}", account="A-1001") for n in range(calls)]
    request = subject_requests.open_request(house.service, kind, phone=CUSTOMER, actor=DPO, now=house.clock())
    return request.id, stored


def offered(text: str) -> list[str]:
    return re.findall(r'type="checkbox" name="recording" id="[^"]+" value="([^"]+)"', text)


def to(text: str, words: str) -> str:
    """Where a button that leads to another page of a request sends its form."""
    found = re.search(rf'formaction="([^"]+)" formnovalidate>[^<]*{words}', text)
    assert found is not None
    return unescape(found[1])


def shown(text: str) -> str:
    found = re.search(r'name="shown" value="([^"]+)"', text)
    assert found is not None
    return found[1]


async def sent(house: House, path: str, text: str, ticked: list[str], **words: str) -> Any:
    """A page of a request sent by one of its buttons, with these of its boxes ticked."""
    fields = [("shown", shown(text)), *(("recording", one) for one in ticked), *words.items()]
    return await house.client.post(path, data=fields, headers=POST)


async def test_what_is_ticked_on_every_page_is_what_is_approved(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    assert offered(first) == stored[:3]
    assert "7 of 7 chosen" in first

    second = await (await sent(house, to(first, "Later calls"), first, stored[:2])).text()
    assert (offered(second), "6 of 7 chosen" in second) == (stored[3:6], True)
    third = await (await sent(house, to(second, "Later calls"), second, stored[4:6])).text()
    asked = await sent(house, f"/console/requests/{request}/approve", third, [], identity="callback")
    text = await asked.text()
    assert "Give 4 of 7 recordings?" in text
    assert approved(house, request) == set()

    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None
    done = await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])
    assert "4 of 7 given" in await done.text()
    assert approved(house, request) == {stored[0], stored[1], stored[4], stored[5]}


async def test_who_changes_the_choice_meanwhile_is_not_overlooked(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    text = await (
        await sent(house, f"/console/requests/{request}/approve", first, stored[:3], identity="callback")
    ).text()
    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None

    subject_requests.choose(house.service, request, stored[:1], [])
    again = await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])

    text = await again.text()
    assert ("Give 6 of 7 recordings?" in text, "has changed since you were asked" in text) == (True, True)
    assert approved(house, request) == set()


async def test_all_are_left_out_and_few_chosen_again(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    await house.signed_in("dpo")
    none = await (await post(house, f"/console/requests/{request}/choose", all="none")).text()
    assert "0 of 7 chosen" in none
    refused = await post(house, f"/console/requests/{request}/approve", identity="callback")
    assert (refused.status, "Choose at least one recording" in await refused.text()) == (400, True)

    answer = await sent(house, f"/console/requests/{request}/approve", none, stored[1:2], identity="callback")

    assert "1 of 7 given" in await answer.text()
    assert approved(house, request) == {stored[1]}


async def test_those_left_out_are_shown_by_themselves(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house)
    subject_requests.choose(house.service, request, stored, [stored[0], *stored[2:6]])
    await house.signed_in("dpo")

    text = await page(house, f"/console/requests/{request}?show=left_out")
    assert offered(text) == [stored[1], stored[6]]
    answer = await sent(house, to(text, "Show all"), text, [stored[6]])
    assert "6 of 7 chosen" in await answer.text()


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


async def test_what_the_customer_directory_doubts_is_chosen_by_hand_only(house: House, pages_of_three: None) -> None:
    others = house.stored("pbx-x", account="A-0001")
    request, _ = a_long_request(house)
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/requests/{request}/choose", all="proposed")).text()

    assert "7 of 8 chosen" in text
    assert offered(text)[0] == others
    assert f'value="{others}" checked' not in text


async def test_a_page_that_deletes_speaks_of_giving_nothing(house: House) -> None:
    request, _ = a_long_request(house, "withdrawal", 2)
    await house.signed_in("dpo")
    text = await page(house, f"/console/requests/{request}")

    assert "Choose the call of 3\xa0Sept\xa02026 10:12" in text
    assert re.findall(r"\b[Gg]ive", text) == []


async def test_p4_a_long_withdrawal_deletes_what_is_chosen_on_all_pages(house: House, pages_of_three: None) -> None:
    request, stored = a_long_request(house, "withdrawal")
    await house.signed_in("dpo")
    first = await page(house, f"/console/requests/{request}")
    asked = await sent(house, f"/console/requests/{request}/approve", first, stored[:3], identity="callback")
    text = await asked.text()
    assert "Delete 7 of 7 recordings for good?" in text
    counted = re.search(r'name="counted" value="(\w+)"', text)
    assert counted is not None

    await post(house, f"/console/requests/{request}/approve", identity="callback", counted=counted[1])

    assert [one for one in stored if one in await page(house, "/console/recordings")] == []


async def test_thousands_are_approved_at_once(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    request = address.rpartition("/")[2]
    many(house.service, request, 2500)

    answer = await sent(house, f"{address}/approve", await page(house, address), [recording], identity="callback")

    assert (answer.status, approved(house, request)) == (200, {recording})  # the others are gone meanwhile
    assert "Link sent" in await answer.text()


async def test_a_request_can_be_extended_once_and_refused_with_a_reason(house: House) -> None:
    house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path

    assert "extended" in await (await post(house, f"{address}/extend")).text()
    assert (await post(house, f"{address}/extend")).status == 409
    assert "Refused" in await (await post(house, f"{address}/refuse", reason="not_theirs")).text()


async def test_the_overview_says_when_the_first_answer_is_due(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    address = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    assert re.search(r"first due in \d\d days", await page(house, "/console/"))

    await post(house, f"{address}/approve", recording=recording, identity="callback")
    answered = await page(house, "/console/")
    assert "open requests" in answered
    assert "first due" not in answered

    other = (await post(house, "/console/requests", kind="access", phone="20123456")).url.path
    with house.service.database.write() as connection:
        requests = metadata.tables["requests"]
        late = update(requests).where(requests.c.id == other.rpartition("/")[2])
        connection.execute(late.values(due_at=house.clock() - timedelta(hours=30)))
    assert "past its deadline" in await page(house, "/console/")


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


async def test_tasks_wait_on_the_overview_until_somebody_has_seen_to_them(house: House) -> None:
    with house.service.database.write() as connection:
        tasks.open_task(connection, "class_unknown", "rec_x", house.clock())
    await house.signed_in("dpo")
    assert "complete the line table" in await page(house, "/console/")

    text = await (await post(house, "/console/tasks/close", kind="class_unknown", subject="rec_x")).text()
    assert "complete the line table" not in text
    *_, entry = audit.export(house.service.database)
    assert json.loads(entry)["entry"]["type"] == "task.closed"


async def test_the_overview_shows_the_oldest_of_any_number_of_tasks(house: House) -> None:
    with house.service.database.write() as connection:
        for number in range(1000):
            at = house.clock.advance(seconds=1)
            tasks.open_task(connection, "source_deletion_failed", f"src_{number:04}", at)
    await house.signed_in("dpo")

    text = await page(house, "/console/")

    shown = re.findall(r'name="subject" value="(\w+)"', text)
    assert shown == [f"src_{number:04}" for number in range(200)]
    assert "800 more wait behind them" in text


async def test_the_agents_panel_notes_a_yes_and_stops(house: House) -> None:
    house.call(answer="requested")
    await house.signed_in("agent")

    yes = await (await post(house, "/console/panel", call="pbx-1", act="consent")).text()
    assert "Noted: the customer said yes." in yes
    assert 'value="pbx-1"' in yes
    assert "Stopped." in await (await post(house, "/console/panel", call="pbx-1", act="stop")).text()
    unknown = await post(house, "/console/panel", call="pbx-9", act="pause")
    assert (unknown.status, "no running call" in await unknown.text()) == (409, True)


@pytest.mark.parametrize("role", ["reviewer", "agent"])
async def test_only_the_dpo_deletes_holds_and_answers_requests(house: House, role: str) -> None:
    recording = house.stored()
    await house.signed_in(role)
    for path in (f"/console/recordings/{recording}/erase", "/console/requests", f"/console/certificates/{recording}"):
        await page(house, path, status=403)
    for path in (
        f"/console/recordings/{recording}/erase",
        f"/console/recordings/{recording}/holds",
        "/console/requests",
    ):
        assert (await post(house, path, reason="other", kind="legal")).status == 403


async def test_what_was_typed_is_shown_as_text(house: House) -> None:
    await house.signed_in("dpo")
    text = await (await post(house, "/console/recordings/search", agent='"><script>alert(1)</script>')).text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


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


def _noted(house: House, recording: str) -> list[tuple[str, str]]:
    with house.service.database.read() as connection:
        return [(one.role, one.purpose) for one in listenings.of_recording(connection, recording)]
