"""A call that was recorded at an exchange, its audio lying there, and ways to look at what capture made of it."""

from __future__ import annotations

import io
import time
import wave
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import select

from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue.recordings import Recording
from storage.tables import metadata
from tests.recorder.exchange import Exchange, Story
from tests.recorder.stored import hear

RATE = 8000
START = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
PATH = "/r/1.wav"
DPO = Actor("tok_dpo", "dpo")


def sound(seconds: float = 6, channels: int = 2) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    rows = [np.sin(2 * np.pi * (300 + 100 * c) * t * (1 + t / 50)) * 9000 for c in range(channels)]
    return np.stack(rows, axis=1).astype("<i2")


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((samples.shape[1], 2, RATE, 0, "NONE", ""))
        writer.writeframes(samples.tobytes())
    return file.getvalue()


WHOLE = wav(sound())


def streamed(samples: np.ndarray) -> bytes:
    """A WAV file by a writer that cannot seek back: it does not say how long it is."""
    data = wav(samples)
    return data[:40] + b"\xff\xff\xff\xff" + data[44:]


def told(
    service: Service, exchange: Exchange, *, consent_s: float | None = 0, audio: bytes = WHOLE, **available: int
) -> Story:
    """A call of 10 seconds that was recorded from its start, and its audio lying at the exchange."""
    story = Story(service, START)
    exchange.recordings[PATH] = audio
    story.begin()
    story.record()
    if consent_s is not None:
        story.consent(consent_s)
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


def decoded(flac: bytes) -> np.ndarray:
    from recorder.audio.coder import decoder
    from recorder.audio.wav import WavReader

    coder, reader = decoder("flac", time.monotonic() + 60), WavReader()
    try:
        pieces = [bytes(reader.feed(piece)) for step in (coder.feed(flac), coder.finish()) for piece in step]
    finally:
        coder.close()
    return np.frombuffer(b"".join(pieces), "<i2").reshape(-1, 2)


def acts(service: Service) -> list[str]:
    with service.database.read() as connection:
        return list(connection.execute(select(metadata.tables["audit"].c.type)).scalars())
