"""What is away, or silent, costs no caller their question."""

from __future__ import annotations

import asyncio
import threading

import pytest

from api.pools import SIZES
from storage.errors import StoreUnavailableError
from tests.api.access.entering import entered
from tests.api.conftest import House
from tests.api.webhooks.senders import Twilio
from tests.recorder.asking import granted, stored


async def question(house: House) -> str:
    return await (await Twilio(house.client, house.service).post("voice")).text()


async def test_p6_a_store_that_is_away_takes_no_replica_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError

    for name in ("remaining", "read", "size"):
        monkeypatch.setattr(house.service.vault.objects, name, away)

    assert "<Gather" in await question(house)
    assert (await house.client.get("/readyz")).status == 200


async def test_p6_a_silent_store_costs_no_caller_their_question(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(house.service, house.clock)
    granted(house.service, house.clock)
    await entered(house)
    over, asked = threading.Event(), threading.Semaphore(0)

    def silent(*_: object) -> None:
        asked.release()
        over.wait(60)
        raise StoreUnavailableError

    monkeypatch.setattr(house.service.vault.objects, "read", silent)
    pages = [asyncio.create_task(house.client.get("/access/recordings")) for _ in range(SIZES["default"])]
    try:
        for _ in pages:
            assert await asyncio.to_thread(asked.acquire, timeout=30)

        assert "<Gather" in await question(house)
        assert (await house.client.get("/readyz")).status == 200
    finally:
        over.set()
        answers = await asyncio.gather(*pages)
    assert {answer.status for answer in answers} == {200}
