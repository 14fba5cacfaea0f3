"""What is done to a call over HTTP: its recording pushed, whole or broken off or dripping, and the agent's buttons
pressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from api.app import create_app
from api.v1 import calls as v1_calls
from tests.api.conftest import Client, House, speech
from tests.api.problems import problem

PUSH = {"Content-Type": "audio/wav"}


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
