"""A Twilio that has one recording and answers what it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recorder import exchange as exchanges
from tests.recorder.exchange import Exchange, reply
from tests.recorder.inquiring.lists import MEDIA
from tests.recorder.sounds import silence, wav


@pytest.fixture
def twilio() -> Iterator[Exchange]:
    with exchanges.running() as running:
        running.recordings[MEDIA] = lambda handler: reply(handler, wav(silence(2)))
        yield running


@pytest.fixture
def environment(environment: dict[str, str], twilio: Exchange) -> dict[str, str]:
    return environment | {"RECORDER_PLATFORMS__TWILIO__API_URL": twilio.origin}
