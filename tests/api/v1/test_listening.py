"""Audio over JSON's own doors: for a purpose, by range, noted, by many at once, and by nobody once its time is over."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.catalogue import listenings
from tests.api.conftest import House, speech
from tests.api.problems import problem


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
