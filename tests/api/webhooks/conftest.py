"""The application, and a Twilio and an exchange that send it webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from api.app import create_app
from recorder.ports import Service
from tests.api.conftest import Client
from tests.api.webhooks.senders import Exchange, Twilio
from tests.conftest import MovingClock


@pytest.fixture
async def client(service: Service, aiohttp_client: Callable[..., Awaitable[Client]]) -> Client:
    return await aiohttp_client(create_app(service))


@pytest.fixture
def twilio(client: Client, service: Service) -> Twilio:
    return Twilio(client, service)


@pytest.fixture
def exchange(client: Client, clock: MovingClock) -> Exchange:
    return Exchange(client, clock)
