"""A browser at a house that has sent somebody a link, and others at the same house."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from api.app import create_app
from recorder.ports import Service
from tests.api.access.entering import Dial
from tests.api.conftest import Client, House
from tests.recorder.asking import granted, stored


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
