"""Rules that touch rows hold on every database: whatever asks for a service is run on each."""

from __future__ import annotations

import pytest

from tests.conftest import DATABASES, MovingClock
from tests.recorder.backups import House


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def house(environment: dict[str, str], clock: MovingClock, request: pytest.FixtureRequest) -> House:
    return House(environment, clock, request)
