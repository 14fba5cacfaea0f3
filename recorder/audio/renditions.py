"""One pass over a recording's bytes: the original, the playback copy and the peaks. Handles plaintext audio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain

from recorder.audio import coder
from recorder.audio.ahead import Ahead
from recorder.audio.cut import Cut
from recorder.audio.outputs import OpenSinks, Outputs, Rendition
from recorder.audio.peaks import CONTENT_TYPE as PEAKS_TYPE
from recorder.audio.sniff import CONTENT_TYPES, HEAD_BYTES, Kind, looks_like_text, sniff
from recorder.audio.wav import PcmFormat, WavReader
from recorder.audio.wholeness import Wholeness
from recorder.errors import (
    AudioEmptyError,
    AudioError,
    AudioNotReadyError,
    AudioTimeoutError,
    AudioTruncatedError,
    AudioUnsupportedError,
)

# An MP3 does not say where its sound begins: encoder and decoder together delay it by up to two frames, so that what
# stands at a moment may have been said that much earlier. Other formats that do not say it delay by less.
LAG_FRAMES = 2 * 1152
SPEEX = b"Speex   "  # how its first packet begins


@dataclass(frozen=True)
class Limits:
    max_seconds: int
    timeout_s: float  # wall clock for all of it, fetching included
    least_ms: int = 0  # the least sound accepted from a file that does not say how much it holds


@dataclass(frozen=True)
class Produced:
    """What was written: `content_type`, `size_bytes` and `sha256` are the original's; `frames` 0 means nothing kept.

    `lag_ms` is how much later than it was said sound may stand in an original that was cut out of an MP3 or the like.
    Without a cut it is 0: the MP3 is kept as it came, and its lag is allowed for when it is read again.
    `received_sha256` is of the bytes as they came, before any cut: by it, the same recording sent again is recognised.
    """

    content_type: str
    channels: int
    rate: int
    frames: int
    size_bytes: int
    sha256: bytes
    received_sha256: bytes
    lag_ms: int = 0

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.rate


def produce(
    chunks: Iterator[bytes],
    *,
    cut: Cut | None,
    open_sinks: OpenSinks,
    limits: Limits,
    working: Callable[[], None] | None = None,
) -> Produced:
    """Read a recording once and write its renditions.

    Without a cut the original is the very bytes received; with one it is FLAC of what the cut keeps. A playback copy
    (MP3) is made unless the original is PCM WAV or MP3. `open_sinks` is called once, when there is something to write,
    never for something that is not audio. `chunks` is read in a thread, a few blocks ahead. These may hold hours of
    sound, so `working` is called for every window of it until the end; it stops the work by raising. What was written
    is worth keeping only if this returns: retryable `AudioError`s are worth another try, others are not.
    """
    with closing(Ahead(chunks)) as blocks, ExitStack() as stack:
        head, kind, is_pcm, lag = _opening(blocks)
        deadline = time.monotonic() + limits.timeout_s
        playback = cut is not None or not (is_pcm or kind == "mp3")
        sinks = None if cut is not None else open_sinks(_untouched(kind, playback=playback))
        sound = _PcmSound() if is_pcm else stack.enter_context(closing(_DecodedSound(kind, head, deadline)))
        outputs = Outputs(
            open_sinks if sinks is None else sinks,
            deadline=deadline,
            max_seconds=limits.max_seconds,
            cut=cut,
            lag=lag,
            playback=playback,
        )
        stack.enter_context(closing(outputs))

        def take(window: bytes | memoryview) -> None:
            if working is not None:
                working()
            outputs.take(window, sound.format)

        for block in chain([head], blocks):
            if sinks is not None:
                sinks["original"].write(block)
            for window in sound.feed(block):
                take(window)
        for window in sound.finish():
            take(window)
        sound.check(outputs.received)
        if outputs.received == 0:
            raise AudioEmptyError
        if not sound.measured and outputs.received * 1000 < limits.least_ms * sound.format.rate:
            raise AudioTruncatedError
        outputs.finish()
    return Produced(
        content_type=CONTENT_TYPES[kind if cut is None else "flac"],
        channels=sound.format.channels,
        rate=sound.format.rate,
        frames=outputs.kept,
        size_bytes=outputs.flac.size if outputs.flac else blocks.size,
        sha256=outputs.flac.hash.digest() if outputs.flac else blocks.sha256,
        received_sha256=blocks.sha256,
        lag_ms=0 if cut is None else -(-lag * 1000 // sound.format.rate),
    )


def _untouched(kind: Kind, *, playback: bool) -> dict[Rendition, str]:
    """The renditions of a recording kept as it came."""
    wanted: dict[Rendition, str] = {"original": CONTENT_TYPES[kind], "peaks": PEAKS_TYPE}
    return wanted | {"playback": CONTENT_TYPES["mp3"]} if playback else wanted


def _opening(chunks: Iterator[bytes]) -> tuple[bytes, Kind, bool, int]:
    """The first bytes, what they are, whether their sound can be read without a decoder, and its lag in frames."""
    head = b""
    for chunk in chunks:
        head = head + chunk if head else chunk
        if len(head) >= HEAD_BYTES:
            break
    kind = sniff(head[:HEAD_BYTES])
    if kind is None:
        if not head or looks_like_text(head):
            raise AudioNotReadyError
        raise AudioUnsupportedError
    reader = WavReader(decodes=False)
    if kind == "wav":
        reader.feed(head)
        while not reader.ready and (chunk := next(chunks, b"")):
            head += chunk
            reader.feed(chunk)
        reader.check_header()
    delayed = kind == "mp3" or reader.delayed or (kind == "ogg" and SPEEX in head[:HEAD_BYTES])
    return head, kind, reader.ready and reader.pcm, LAG_FRAMES if delayed else 0


class _PcmSound:
    """Sound that can be read without a decoder: PCM in a WAV file."""

    def __init__(self) -> None:
        self._reader = WavReader()

    @property
    def format(self) -> PcmFormat:
        return self._reader.format

    @property
    def measured(self) -> bool:
        return self._reader.measured

    def feed(self, data: bytes) -> Iterator[bytes | memoryview]:
        if window := self._reader.feed(data):
            yield window

    def finish(self) -> Iterator[bytes | memoryview]:
        return iter(())

    def check(self, frames: int) -> None:  # noqa: ARG002 -- the same interface as `_DecodedSound`
        self._reader.finish()


class _DecodedSound:
    """Sound that needs a decoder."""

    def __init__(self, kind: Kind, head: bytes, deadline: float) -> None:
        self._whole = Wholeness(kind, head)
        self._decoder = coder.decoder(kind, deadline)
        self._reader = WavReader()

    @property
    def format(self) -> PcmFormat:
        return self._reader.format

    @property
    def measured(self) -> bool:
        return self._whole.measured

    def feed(self, data: bytes) -> Iterator[bytes | memoryview]:
        self._whole.feed(data)
        yield from self._windows(self._decoder.feed(data))

    def finish(self) -> Iterator[bytes | memoryview]:
        try:
            yield from self._windows(self._decoder.finish())
        except AudioTimeoutError:
            raise
        except AudioError:
            self._whole.check(0)  # a file that ends before its sound begins is worth another try
            raise

    def check(self, frames: int) -> None:
        self._whole.check(frames)

    def close(self) -> None:
        self._decoder.close()

    def _windows(self, decoded: Iterator[bytes]) -> Iterator[bytes | memoryview]:
        for data in decoded:
            if window := self._reader.feed(data):
                yield window
