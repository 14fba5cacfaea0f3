"""A call that was recorded at an exchange, its audio lying there, and ways to look at what capture made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select

from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue.recordings import Recording
from storage.tables import metadata
from tests.recorder.exchange import Exchange, Story
from tests.recorder.sounds import speechlike, wav
from tests.recorder.stored import hear

START = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
PATH = "/r/1.wav"
DPO = Actor("tok_dpo", "dpo")
SOUND = speechlike(6)
WHOLE = wav(SOUND)


def streamed(samples: np.ndarray) -> bytes:
    """A WAV file by a writer that cannot seek back: it does not say how long it is."""
    return wav(samples, size=0xFFFFFFFF)


def told(
    service: Service,
    exchange: Exchange,
    *,
    start: datetime = START,
    consent_s: float | None = 0,
    answer: str = "granted",
    audio: bytes = WHOLE,
    **available: Any,
) -> Story:
    """A call of 10 seconds that was recorded from its start, and its audio lying at the exchange."""
    story = Story(service, start)
    exchange.recordings[PATH] = audio
    story.begin()
    story.record()
    if consent_s is not None:
        story.consent(consent_s, answer)
    story.end(10)
    story.available(exchange.origin + PATH, 12, **available)
    return story


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def only(service: Service) -> Recording:
    with service.database.read() as connection:
        (row,) = connection.execute(select(metadata.tables["recordings"])).mappings()
    return Recording(**row)


def opened(service: Service, recording: Recording, rendition: str = "original") -> bytes:
    return hear(service, recording, at(20), rendition)


def acts(service: Service) -> list[str]:
    with service.database.read() as connection:
        return list(connection.execute(select(metadata.tables["audit"].c.type)).scalars())
