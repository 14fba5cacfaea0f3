"""A house with one recording in it: made by events and a push, as an exchange makes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient

from api.app import create_app
from recorder import calls, tokens
from recorder.actors import SYSTEM
from recorder.capture import pushing
from recorder.events import Event
from recorder.ports import Service
from storage.catalogue import recordings
from storage.clock import rfc3339
from tests.conftest import DATABASES, MovingClock
from tests.recorder.sounds import RATE, wav

Client = TestClient[Any, Any]
CUSTOMER = "+4520123456"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def speech(seconds: int = 3) -> bytes:
    n = np.arange(RATE * seconds)
    return wav(np.stack([9000 * np.sin(n / 9), 5000 * np.sin(n / 23)], axis=1).astype("<i2"))


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


class Idle:
    """No jobs: nothing happens here but what is asked for."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wake(self, name: str) -> None: ...


@dataclass
class House:
    """The application, and an exchange that calls it."""

    service: Service
    clock: MovingClock
    client: Client

    def token(self, role: str) -> str:
        return tokens.create(self.service, role, role, self.clock(), actor=SYSTEM)[0]

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role)}"}

    async def signed_in(self, role: str) -> None:
        answer = await self.client.post("/console/sign-in", data={"token": self.token(role)}, headers=SAME_ORIGIN)
        assert answer.url.path.startswith("/console/")
        assert answer.status == 200

    def call(self, call_id: str = "pbx-1", *, answer: str = "granted", **data: str) -> None:
        """A call of three seconds, with its answer to the question."""
        at = self.clock()
        whole = {"direction": "inbound", "from": CUSTOMER, "to": "+4570123456", "customer_type": "private"} | data
        self._event("call.started", call_id, whole, opens=True)
        self._event(f"consent.{answer}", call_id, {"method": "dtmf", "digit": "1", "script": "inbound-da@1"})
        self._event("recording.started", call_id, {"recording_id": f"r-{call_id}"})
        self.clock.now = at + timedelta(seconds=4)
        self._event("call.ended", call_id, {"ended_at": rfc3339(self.clock())})
        self.clock.advance(seconds=5)

    def stored(self, call_id: str = "pbx-1", *, audio: bytes | None = None, **data: str) -> str:
        """A call with a yes whose audio has been pushed; the recording's id."""
        self.call(call_id, **data)
        pushed = pushing.push(
            self.service, call_id, f"r-{call_id}", "audio/wav", iter([audio or speech()]), None, self.clock()
        )
        assert pushed == "created"
        with self.service.database.read() as connection:
            call = calls.resolve(self.service, connection, "standard", call_id)
            assert call is not None
            (recording,) = recordings.of_call(connection, call)
        return recording.id

    def _event(self, kind: Any, call_id: str, data: dict[str, Any], *, opens: bool = False) -> None:
        at = self.clock.advance(milliseconds=10)
        event = Event(kind, "standard", call_id, f"{call_id}-{kind}", at, stamped_at=at, opens=opens, data=data)
        calls.register(self.service, event, at)


@pytest.fixture
async def house(service: Service, clock: MovingClock, aiohttp_client: Callable[..., Awaitable[Client]]) -> House:
    return House(service, clock, await aiohttp_client(create_app(service)))
