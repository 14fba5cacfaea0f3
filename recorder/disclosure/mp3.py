"""A recording kept as WAV, turned into MP3 while it is being downloaded. Handles plaintext audio: in pipes only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from recorder.audio.coder import PLAYBACK_KBIT, mp3_encoder
from recorder.audio.wav import WavReader
from recorder.errors import AudioUnsupportedError
from storage.vault import SealedReader

CONTENT_TYPE = "audio/mpeg"
TIMEOUT_S = 3600.0
BYTES_PER_MS = PLAYBACK_KBIT // 8  # per channel, at a constant rate


def encoded(reader: SealedReader) -> Iterator[bytes]:
    """The MP3 of a PCM WAV file, made as it is read. Ends its encoder also when it is not read to the end."""
    wav = WavReader()
    chunks = reader.read(0, reader.size)
    sound: bytes | memoryview = b""
    for chunk in chunks:
        sound = wav.feed(bytes(chunk))
        if wav.ready:
            break
    if not wav.ready or not wav.pcm:
        raise AudioUnsupportedError
    with closing(mp3_encoder(wav.format, time.monotonic() + TIMEOUT_S)) as encoder:
        yield from encoder.feed(sound)
        for chunk in chunks:
            yield from encoder.feed(wav.feed(bytes(chunk)))
        yield from encoder.finish()
