"""The JSON API against a real house: find, look, listen, push, hold, delete, requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from yarl import URL

from api.app import all_routes, create_app
from api.openapi import document
from api.v1 import calls as v1_calls
from recorder import calls, subject_requests, tokens
from recorder.actors import SYSTEM
from recorder.capture import pushing
from recorder.events import Event
from storage.catalogue import links, listenings
from tests.api.conftest import CUSTOMER, Client, House, speech
from tests.recorder.asking import DPO, many

PUSH = {"Content-Type": "audio/wav"}


async def problem(answer: Any) -> tuple[int, str]:
    return answer.status, (await answer.json(content_type="application/problem+json"))["code"]


async def test_search_finds_by_number_however_it_is_written(house: House) -> None:
    recording = house.stored()
    house.stored("pbx-2", **{"from": "+4520123499"})

    for phone in ("+4520123456", "20 12 34 56", "0045 20123456"):
        found = await house.client.post("/v1/recordings/search", json={"phone": phone}, headers=house.bearer("dpo"))
        assert [item["id"] for item in (await found.json())["items"]] == [recording]


async def test_a_recording_shows_what_interfaces_name(house: House) -> None:
    recording = house.stored(agent="a-17", queue="billing", case="S-1")

    answer = await house.client.get(f"/v1/recordings/{recording}", headers=house.bearer("dpo"))
    item = await answer.json()
    assert {name: item[name] for name in ("id", "state", "segment", "direction", "agent", "queue", "case")} == {
        "id": recording,
        "state": "stored",
        "segment": "private_inbound",
        "direction": "inbound",
        "agent": "a-17",
        "queue": "billing",
        "case": "S-1",
    }
    assert item["platform_call_id"] == "pbx-1"
    assert item["platform_recording_id"] == "r-pbx-1"
    assert len(item["sha256"]) == 64
    assert item["consent"] | {"at": None} == {
        "method": "dtmf",
        "decision": "granted",
        "at": None,
        "digit": "1",
        "script": "inbound-da@1",
        "purposes": ["quality", "training", "documentation"],
    }
    assert item["links"] == {"audio": f"/v1/recordings/{recording}/audio"}
    assert CUSTOMER not in str(item)


async def test_whose_voice_is_on_which_channel_is_shown(house: House) -> None:
    house.call()
    channel_map = {"0": "customer", "1": "agent"}
    told = {"recording_id": "r-pbx-1", "channels": 2, "channel_map": channel_map}
    event = Event("recording.available", "standard", "pbx-1", "told", None, data=told)
    calls.register(house.service, event, house.clock())
    pushing.push(house.service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, house.clock())

    (item,) = (await (await house.client.get("/v1/recordings", headers=house.bearer("dpo"))).json())["items"]

    assert (item["channels"], item["channel_map"]) == (2, channel_map)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"agent": "a-17"}, ["pbx-1"]),
        ({"queue": "sales"}, ["pbx-2"]),
        ({"case": "S-2"}, ["pbx-2"]),
        ({"agent": "a-17", "queue": "sales"}, []),
        ({"segment": "private_inbound"}, ["pbx-2", "pbx-1"]),
        ({"state": "failed"}, []),
        ({"from": "2026-09-03", "to": "2026-09-03"}, ["pbx-2", "pbx-1"]),
        ({"to": "2026-09-02"}, []),
    ],
)
async def test_search_by_agent_queue_case_class_and_day(house: House, body: dict[str, str], wanted: list[str]) -> None:
    house.stored("pbx-1", agent="a-17", queue="billing", case="S-1")
    house.stored("pbx-2", agent="a-18", queue="sales", case="S-2")

    found = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("reviewer"))
    assert [item["platform_call_id"] for item in (await found.json())["items"]] == wanted


@pytest.mark.parametrize("body", [{"phone": CUSTOMER}, {"account": "A-1001"}])
async def test_p4_reviewers_do_not_search_for_customers(house: House, body: dict[str, str]) -> None:
    answer = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("reviewer"))
    assert await problem(answer) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"phone": "not a number"},
        {"phone": 4520123456},
        {"agent": "x" * 5000},
        {"segment": "everything"},
        {"state": "gone"},
        {"from": "yesterday"},
        {"from": "2026-09-03T10:00:00"},
        {"to": "9999-12-31"},
        {"cursor": "x" * 900},
        {"limit": 0},
        {"limit": 201},
        {"limit": "50"},
        {"queue": ""},
        {"queue": " \t "},
        {"queue": "a\x00b"},
        {"case": "\ud800"},
        {"\ud800": "x"},
        {"telephone": CUSTOMER},
    ],
)
async def test_what_cannot_be_searched_for_is_400_and_not_repeated(house: House, body: dict[str, Any]) -> None:
    answer = await house.client.post("/v1/recordings/search", json=body, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")
    assert CUSTOMER not in await answer.text()


async def test_numbers_cannot_stand_in_an_address(house: House) -> None:
    answer = await house.client.get("/v1/recordings", params={"phone": CUSTOMER}, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")


async def test_pages_follow_each_other_without_gap_or_repeat(house: House) -> None:
    made = [house.stored(f"pbx-{n}") for n in range(5)]
    headers, seen, cursor = house.bearer("dpo"), [], None
    while True:
        answer = await house.client.get(
            "/v1/recordings", params={"limit": "2"} | ({"cursor": cursor} if cursor else {}), headers=headers
        )
        page = await answer.json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_a_walk_meets_what_stays_once_whatever_comes_or_goes(house: House) -> None:
    made = [house.stored(f"pbx-{n}", queue="billing") for n in range(6)][::-1]
    headers, seen = house.bearer("dpo"), []
    page = await (await house.client.get("/v1/recordings?queue=billing&limit=2", headers=headers)).json()
    seen += [item["id"] for item in page["items"]]

    newer = house.stored("pbx-9", queue="billing")  # stands before what has been shown
    for gone in (made[1], made[2]):  # the last one shown, which the cursor names, and the next
        order = {"reason": "other"}
        assert (await house.client.delete(f"/v1/recordings/{gone}", json=order, headers=headers)).status == 200
    while page["next"]:
        address = f"/v1/recordings?queue=billing&limit=2&cursor={page['next']}"
        page = await (await house.client.get(address, headers=headers)).json()
        seen += [item["id"] for item in page["items"]]

    assert seen == [made[0], made[1], *made[3:]]
    assert newer not in seen


async def test_a_cursor_continues_its_own_search_only_and_cannot_be_made(house: House) -> None:
    for n in range(3):
        house.stored(f"pbx-{n}", queue="billing")
    headers, address = house.bearer("dpo"), "/v1/recordings"
    first = await house.client.get(address, params={"queue": "billing", "limit": "1"}, headers=headers)
    cursor = (await first.json())["next"]
    tampered = ("B" if cursor[0] == "A" else "A") + cursor[1:]

    onward = await house.client.get(address, params={"queue": "billing", "cursor": cursor}, headers=headers)
    assert len((await onward.json())["items"]) == 2  # as many as asked for, whatever the page before held
    for wrong in (
        {"cursor": cursor},
        {"queue": "sales", "cursor": cursor},
        {"queue": "billing", "cursor": tampered},
        {"queue": "billing", "cursor": "AAAA"},
        {"queue": "billing", "cursor": "æ"},
    ):
        answer = await house.client.get(address, params=wrong, headers=headers)
        assert await problem(answer) == (400, "cursor_invalid")


async def test_open_requests_come_page_by_page_the_first_due_first(house: House) -> None:
    """Many are due on the same day; what is closed or moved meanwhile hides no other."""
    headers, recording = house.bearer("dpo"), house.stored()
    days = [house.clock() - timedelta(days=n) for n in (3, 3, 3, 3, 0, 1)]
    made = [
        subject_requests.open_request(
            house.service, "access", phone=CUSTOMER, received_at=day, actor=DPO, now=house.clock()
        )
        for day in days
    ]
    expected = [one.id for one in sorted(made, key=lambda one: (one.due_at, one.id))]
    address = "/v1/subject-requests"
    first = await (await house.client.get(address, params={"limit": "2"}, headers=headers)).json()
    assert first["items"][0] == await (await house.client.get(f"{address}/{expected[0]}", headers=headers)).json()

    subject_requests.refuse(house.service, expected[1], DPO, house.clock())  # the last one shown
    subject_requests.refuse(house.service, expected[2], DPO, house.clock())
    seen, page = [one["id"] for one in first["items"]], first
    while page["next"]:
        onward = {"limit": "2", "cursor": page["next"]}
        page = await (await house.client.get(address, params=onward, headers=headers)).json()
        seen += [one["id"] for one in page["items"]]
    assert seen == [*expected[:2], *expected[3:]]
    assert page["items"][-1]["matches"] == [recording]

    recordings = await house.client.get("/v1/recordings", params={"cursor": first["next"]}, headers=headers)
    assert await problem(recordings) == (400, "cursor_invalid")
    for wrong in ({"cursor": "AAAA"}, {"limit": "201"}, {"phone": CUSTOMER}):
        assert (await house.client.get(address, params=wrong, headers=headers)).status == 400
    for role in ("reviewer", "agent", "operator"):
        assert (await house.client.get(address, headers=house.bearer(role))).status == 403


async def test_audio_is_sent_whole_and_by_range_for_a_purpose(house: House) -> None:
    audio = speech()
    recording = house.stored(audio=audio)
    headers, address = house.bearer("reviewer"), f"/v1/recordings/{recording}/audio?purpose=quality"

    whole = await house.client.get(address, headers=headers)
    assert (whole.status, whole.headers["Content-Type"], await whole.read()) == (200, "audio/wav", audio)

    part = await house.client.get(address, headers=headers | {"Range": "bytes=40000-40999"})
    assert (part.status, await part.read()) == (206, audio[40_000:41_000])
    assert part.headers["Content-Range"] == f"bytes 40000-40999/{len(audio)}"

    several = await house.client.get(address, headers=headers | {"Range": "bytes=0-1,5-6"})
    assert (several.status, len(await several.read())) == (200, len(audio))
    beyond = await house.client.get(address, headers=headers | {"Range": f"bytes={len(audio)}-"})
    assert beyond.status == 416


async def test_a_download_that_was_broken_off_does_not_go_on_in_audio_that_was_cut_anew_meanwhile(house: House) -> None:
    recording = house.stored(audio=speech())
    headers, address = house.bearer("reviewer"), f"/v1/recordings/{recording}/audio?purpose=quality"
    tag = (await house.client.get(address, headers=headers)).headers["ETag"]
    resume = headers | {"Range": "bytes=40000-", "If-Range": tag}
    assert (await house.client.get(address, headers=resume)).status == 206

    with house.service.database.write() as connection:  # as another cut leaves it: another attempt is kept
        connection.execute(text("UPDATE attempts SET id = id || 'b' WHERE recording_id = :id"), {"id": recording})

    assert (await house.client.get(address, headers=resume)).status == 200


async def test_p4_listening_is_noted_once_in_half_an_hour_for_each_purpose(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("reviewer")
    for purpose in ("quality", "quality", "training"):
        await (await house.client.get(f"/v1/recordings/{recording}/audio?purpose={purpose}", headers=headers)).read()

    with house.service.database.read() as connection:
        noted = [(one.role, one.purpose) for one in listenings.of_recording(connection, recording)]
    assert sorted(noted) == [("reviewer", "quality"), ("reviewer", "training")]


@pytest.mark.parametrize(
    ("role", "purpose", "status"),
    [
        ("reviewer", "documentation", 403),
        ("reviewer", "access", 403),
        ("dpo", "documentation", 200),
        ("dpo", "curiosity", 400),
        ("dpo", "", 400),
        ("agent", "quality", 403),
        ("operator", "quality", 403),
        ("auditor", "quality", 403),
        ("platform", "quality", 403),
    ],
)
async def test_p4_only_a_role_with_a_purpose_hears(house: House, role: str, purpose: str, status: int) -> None:
    recording = house.stored()
    answer = await house.client.get(
        f"/v1/recordings/{recording}/audio", params={"purpose": purpose}, headers=house.bearer(role)
    )
    assert answer.status == status


async def test_p3_at_its_second_a_recording_is_found_and_heard_by_nobody(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")
    item = await (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).json()
    audio = f"/v1/recordings/{recording}/audio?purpose=quality"

    house.clock.now = house.clock.now.fromisoformat(item["expires_at"]) - timedelta(microseconds=1)
    headers = house.bearer("dpo")
    assert (await house.client.get(audio, headers=headers)).status == 200

    house.clock.advance(microseconds=1)
    assert await problem(await house.client.get(audio, headers=headers)) == (404, "recording_not_found")
    assert (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).status == 404
    assert (await (await house.client.get("/v1/recordings", headers=headers)).json())["items"] == []


async def test_deleting_gives_a_certificate_and_gives_it_again(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")

    first = await house.client.delete(
        f"/v1/recordings/{recording}", json={"reason": "customer_request"}, headers=headers
    )
    certificate = await first.json()
    assert first.status == 200
    assert (certificate["recording_id"], certificate["reason"]) == (recording, "customer_request")
    assert certificate["ordered_by"] == "dpo"
    assert certificate["objects_deleted"] > 0
    assert certificate["key_destroyed"]
    assert certificate["unreadable_in_backups_from"] == "2026-12-03"

    again = await house.client.delete(f"/v1/recordings/{recording}", json={"reason": "other"}, headers=headers)
    shown = await house.client.get(f"/v1/certificates/{certificate['certificate_id']}", headers=house.bearer("auditor"))
    assert await again.json() == await shown.json() == certificate
    assert (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).status == 404


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "expired"}, {"reason": "uncovered"}, {"reason": 7}])
async def test_deleting_needs_a_reason_that_is_a_code(house: House, body: dict[str, Any]) -> None:
    recording = house.stored()
    answer = await house.client.delete(f"/v1/recordings/{recording}", json=body, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")


async def test_a_legal_hold_forbids_deleting_until_it_is_released(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")
    order = {"reason": "customer_request"}

    placed = await house.client.post(
        f"/v1/recordings/{recording}/holds", json={"kind": "legal", "reason": "case 7"}, headers=headers
    )
    hold = await placed.json()
    assert (placed.status, hold["kind"]) == (201, "legal")
    item = await (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).json()
    assert [one["id"] for one in item["holds"]] == [hold["id"]]
    refused = await house.client.delete(f"/v1/recordings/{recording}", json=order, headers=headers)
    assert await problem(refused) == (409, "held")

    assert (await house.client.delete(f"/v1/holds/{hold['id']}", headers=headers)).status == 204
    assert (await house.client.delete(f"/v1/recordings/{recording}", json=order, headers=headers)).status == 200
    assert (await house.client.delete("/v1/holds/hld_none", headers=headers)).status == 404


async def test_pushing_the_same_bytes_changes_nothing_and_other_bytes_conflict(house: House) -> None:
    house.call()
    audio, headers = speech(), house.bearer("platform") | PUSH
    address = "/v1/calls/pbx-1/recordings/r-pbx-1"

    statuses = [
        (await house.client.put(address, data=body, headers=headers)).status for body in (audio, audio, speech(2))
    ]
    assert statuses == [201, 200, 409]


async def test_a_push_may_be_larger_than_any_other_body(house: House) -> None:
    house.call()
    audio = speech(3) + b"\0" * house.service.settings.http.max_body_bytes

    async def pieces():
        for at in range(0, len(audio), 100_000):
            yield audio[at : at + 100_000]

    answer = await house.client.put(
        "/v1/calls/pbx-1/recordings/r-pbx-1", data=pieces(), headers=house.bearer("platform") | PUSH
    )
    assert answer.status in {201, 422}  # trailing bytes are the audio's business, the size is not ours


async def test_p1_nothing_is_kept_of_a_push_without_a_yes(house: House) -> None:
    house.call(answer="refused")
    headers = house.bearer("platform") | PUSH

    answer = await house.client.put("/v1/calls/pbx-1/recordings/r-pbx-1", data=speech(), headers=headers)
    assert await problem(answer) == (409, "consent_missing")
    objects = (house.service.settings.data_dir / "objects").rglob("*")
    assert [path for path in objects if path.is_file() and not path.name.startswith(".")] == []


async def test_a_push_that_dies_half_way_is_told_so_and_may_be_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v1_calls, "STALL_SECONDS", 0.2)
    house.call()
    audio, headers = speech(), house.bearer("platform") | PUSH
    address, repeated = "/v1/calls/pbx-1/recordings/r-pbx-1", asyncio.Event()

    async def dying():
        yield audio[:10_000]
        await repeated.wait()

    answer = await house.client.put(address, data=dying(), headers=headers)
    assert await problem(answer) == (422, "audio_timeout")
    repeated.set()
    assert (await house.client.put(address, data=audio, headers=headers)).status == 201


async def dripping(audio: bytes, *, bytes_at_once: int) -> AsyncIterator[bytes]:
    for at in range(0, len(audio), bytes_at_once):
        yield audio[at : at + bytes_at_once]
        await asyncio.sleep(0.01)


async def test_p6_a_push_that_drips_holds_no_thread_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v1_calls, "STALL_SECONDS", 0.2)
    house.call()
    headers = house.bearer("platform") | PUSH

    answer = await house.client.put(
        "/v1/calls/pbx-1/recordings/r-pbx-1", data=dripping(speech(), bytes_at_once=1), headers=headers
    )
    assert await problem(answer) == (422, "audio_timeout")


async def test_p6_a_push_takes_no_longer_than_the_longest_call_and_a_fetch(
    house: House, aiohttp_client: Callable[..., Awaitable[Client]]
) -> None:
    short = house.service.settings.capture.model_copy(update={"max_seconds": 0.3, "fetch_timeout_s": 0.2})
    settings = house.service.settings.model_copy(update={"capture": short})
    client = await aiohttp_client(create_app(replace(house.service, settings=settings)))
    house.call()
    headers = house.bearer("platform") | PUSH

    answer = await client.put(
        "/v1/calls/pbx-1/recordings/r-pbx-1", data=dripping(speech(), bytes_at_once=100), headers=headers
    )
    assert await problem(answer) == (422, "audio_timeout")


@pytest.mark.parametrize(
    ("call", "content_type", "status"),
    [("pbx-1", "text/html", 415), ("pbx-9", "audio/wav", 404), ("pbx-1", "audio/wav", 422)],
)
async def test_pushes_that_cannot_be_taken(house: House, call: str, content_type: str, status: int) -> None:
    house.call()
    answer = await house.client.put(
        f"/v1/calls/{call}/recordings/r-pbx-1",
        data=b"<html>not audio</html>" * 100,
        headers=house.bearer("platform") | {"Content-Type": content_type},
    )
    assert answer.status == status


async def test_the_agents_buttons_act_on_a_running_call(house: House) -> None:
    headers = house.bearer("agent")
    house.call(answer="requested")
    for button in ("consent", "pause", "resume", "stop"):
        answer = await house.client.post(f"/v1/calls/pbx-1/{button}", headers=headers)
        assert (button, answer.status) == (button, 200)
    unknown = await house.client.post("/v1/calls/pbx-9/consent", headers=headers)
    assert await problem(unknown) == (404, "call_not_found")


async def test_a_request_is_opened_approved_and_its_link_sent_again(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")

    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    wish = await opened.json()
    assert opened.status == 201
    assert {**wish, "id": "", "received_at": ""} == {
        "id": "",
        "kind": "access",
        "state": "received",
        "received_at": "",
        "due_at": wish["due_at"],
        "matches": [recording],
    }
    address = f"/v1/subject-requests/{wish['id']}"
    approved = await house.client.post(
        f"{address}/approve", json={"recordings": [recording], "identity": {"method": "callback"}}, headers=headers
    )
    assert (approved.status, (await approved.json())["state"]) == (200, "answered")
    assert (await house.client.post(f"{address}/links", headers=headers)).status == 202
    late = await house.client.post(f"{address}/extend", headers=headers)
    assert await problem(late) == (409, "conflict")


async def test_thousands_are_approved_at_once(house: House) -> None:
    house.stored()
    headers = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    address = f"/v1/subject-requests/{(await opened.json())['id']}"
    many(house.service, address.rpartition("/")[2], 1500)
    found = (await (await house.client.get(address, headers=headers)).json())["matches"]

    answer = await house.client.post(
        f"{address}/approve", json={"recordings": found, "identity": {"method": "callback"}}, headers=headers
    )

    assert (len(found), answer.status) == (1501, 200)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recordings": "all", "identity": {"method": "callback"}},
        {"recordings": [1], "identity": {"method": "callback"}},
        {"recordings": ["rec_other"], "identity": {"method": "callback"}},
        {"recordings": [], "identity": {"method": "voice"}},
        {"recordings": [], "identity": "callback"},
    ],
)
async def test_an_approval_names_its_own_matches_and_a_known_method(house: House, body: dict[str, Any]) -> None:
    house.stored()
    headers = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    address = f"/v1/subject-requests/{(await opened.json())['id']}/approve"
    assert await problem(await house.client.post(address, json=body, headers=headers)) == (400, "invalid_input")


async def test_a_revoked_or_expired_token_opens_nothing(house: House) -> None:
    text, token = tokens.create(house.service, "dpo", "n", house.clock(), days=1, actor=SYSTEM)
    headers = {"Authorization": f"Bearer {text}"}
    assert (await house.client.get("/v1/recordings", headers=headers)).status == 200

    tokens.revoke(house.service, token.id, house.clock(), actor=SYSTEM)
    refused = await house.client.get("/v1/recordings", headers=headers)
    assert await problem(refused) == (401, "unauthenticated")
    assert refused.headers["WWW-Authenticate"] == "Bearer"

    headers = house.bearer("dpo")
    house.clock.advance(days=91)
    assert (await house.client.get("/v1/recordings", headers=headers)).status == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic eDp5"])
async def test_malformed_tokens_are_401(house: House, header: str) -> None:
    assert (await house.client.get("/v1/recordings", headers={"Authorization": header})).status == 401


async def test_many_readers_at_once_are_all_served(house: House) -> None:
    recording = house.stored(audio=(audio := speech(10)))
    headers = house.bearer("dpo")

    async def one(n: int) -> bytes:
        answer = await house.client.get(
            f"/v1/recordings/{recording}/audio?purpose=quality", headers=headers | {"Range": f"bytes={n * 1000}-"}
        )
        return await answer.read()

    heard = await asyncio.gather(*(one(n) for n in range(40)))
    assert heard == [audio[n * 1000 :] for n in range(40)]


async def test_the_document_names_every_route_that_is_not_the_consoles_once(house: House) -> None:
    answer = await house.client.get("/openapi.json")
    described = await answer.json()
    table = all_routes(house.service)
    assert described == document(table)

    operations = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(operations) == len(set(operations))
    assert all(one["summary"] for path in described["paths"].values() for one in path.values())
    wanted = {route.path for route in table if not route.path.startswith(("/console", "/static", "/canary"))}
    assert wanted - set(described["paths"]) <= {"/webhooks/twilio/canary", "/webhooks/twilio/code"}
    assert set(described["webhooks"]) == {"recording.stored", "recording.erased", "request.answered"}


async def test_p6_the_same_request_under_a_key_is_done_once_and_answered_alike(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": '"8e03978e-40d5-43dd"'}
    address, hold = f"/v1/recordings/{recording}/holds", {"kind": "legal", "reason": "case 7"}

    first = await house.client.post(address, json=hold, headers=headers)
    again = await house.client.post(
        address, json=hold, headers=headers | {"Idempotency-Key": "8e03978e-40d5-43dd"}
    )  # with or without the draft's quotes
    assert (first.status, again.status) == (201, 201)
    assert await first.json() == await again.json()
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")

    other = await house.client.post(address, json=hold | {"reason": "case 8"}, headers=headers)
    assert await problem(other) == (422, "idempotency_reused")
    elsewhere = await house.client.delete(f"/v1/holds/{(await first.json())['id']}", headers=headers)
    assert await problem(elsewhere) == (422, "idempotency_reused")
    found = await (await house.client.get(f"/v1/recordings/{recording}", headers=house.bearer("dpo"))).json()
    assert len(found["holds"]) == 1


async def test_p6_many_of_the_same_at_once_are_one(house: House) -> None:
    house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": "k1"}
    wish = {"kind": "access", "phone": CUSTOMER}
    answers = await asyncio.gather(
        *(house.client.post("/v1/subject-requests", json=wish, headers=headers) for _ in range(20))
    )
    made = {(await answer.json())["id"] for answer in answers if answer.status == 201}
    refused = {await problem(answer) for answer in answers if answer.status != 201}

    assert len(made) == 1
    assert refused <= {(409, "idempotency_in_use")}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 409)


async def test_p6_a_deletion_repeated_under_its_key_gives_the_same_certificate(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": "k1"}
    answers = [
        await house.client.delete(f"/v1/recordings/{recording}", json={"reason": "other"}, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [200, 200]
    assert await answers[0].json() == await answers[1].json()


@pytest.mark.parametrize("key", ["", '"', "a b", "æ", "x" * 256])
async def test_a_key_that_is_none_is_400(house: House, key: str) -> None:
    headers = house.bearer("dpo") | {"Idempotency-Key": key}
    answer = await house.client.post("/v1/subject-requests/req_x/extend", headers=headers)
    assert await problem(answer) in {(400, "invalid_input"), (404, "request_not_found")}
    assert (answer.status == 404) == (key == '"')  # one quote is a key like any other


async def test_links_are_closed_by_their_request(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")
    wish = {"kind": "access", "phone": CUSTOMER}
    request = (await (await house.client.post("/v1/subject-requests", json=wish, headers=headers)).json())["id"]
    address = f"/v1/subject-requests/{request}"
    assert await problem(await house.client.delete(address + "/links", headers=headers)) == (409, "conflict")

    approval = {"recordings": [recording], "identity": {"method": "callback"}}
    await house.client.post(address + "/approve", json=approval, headers=headers)
    for _ in range(2):
        assert (await house.client.delete(address + "/links", headers=headers)).status == 204
    with house.service.database.read() as connection:
        assert [link.state for link in links.of_request(connection, request)] == ["revoked"]
    shown = await (await house.client.get(address, headers=headers)).json()
    assert (shown["state"], shown["matches"]) == ("answered", [recording])


@pytest.mark.parametrize("some_id", ["rec%00x", "rec_%F0%9F%98%80", "x" * 65, "a%20b", "..%2fx"])
async def test_what_can_be_no_id_is_not_there(house: House, some_id: str) -> None:
    address = URL(f"/v1/recordings/{some_id}", encoded=True)
    assert (await problem(await house.client.get(address, headers=house.bearer("dpo"))))[0] == 404
