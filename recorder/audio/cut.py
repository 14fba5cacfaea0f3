"""What was not consented to is cut out here, exact to the sample and rounded against us. Handles plaintext audio."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from recorder.audio.wav import PcmFormat

with warnings.catch_warnings():
    # pydub warns where no ffmpeg is installed system-wide; ours is found elsewhere, and pydub never runs it.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Cut:
    """What is kept and what of it is silenced, in milliseconds from the recording's start."""

    keep: Spans
    mute: Spans = ()


class Cutter:
    """Feed it PCM in windows; it hands back what is kept.

    Kept spans are rounded inward and silenced ones outward to whole samples, on all channels alike: never a sample
    more than was consented to. `lag` is by how many samples sound may stand later than it was said.
    """

    def __init__(self, cut: Cut, pcm: PcmFormat, lag: int = 0) -> None:
        self._pcm = pcm
        self._keep = [
            (_up(start * pcm.rate) + (lag if start > 0 else 0), end * pcm.rate // 1000)
            for start, end in sorted(cut.keep)
        ]
        self._mute = [(start * pcm.rate // 1000, _up(end * pcm.rate) + lag) for start, end in sorted(cut.mute)]
        self._position = 0

    def feed(self, sound: bytes | memoryview) -> Iterator[bytes]:
        """The kept parts of the next window, in order; windows hold whole frames."""
        window = AudioSegment(data=bytes(sound), sample_width=2, frame_rate=self._pcm.rate, channels=self._pcm.channels)
        start = self._position
        self._position += len(sound) // self._pcm.frame_bytes
        reached = start
        for first, last in _within(self._keep, start, self._position):
            first = max(first, reached)  # overlapping spans keep a sample once  # noqa: PLW2901
            if first < last:
                yield self._silenced(window, first - start, last - start, start)
                reached = last

    def _silenced(self, window: AudioSegment, first: int, last: int, offset: int) -> bytes:
        pieces, position = [], first
        for start, end in _within(self._mute, first + offset, last + offset):
            begin = max(start - offset, position)
            if begin >= end - offset:
                continue
            pieces.append(_sound(window, position, begin))
            pieces.append(bytes(len(_sound(window, begin, end - offset))))
            position = end - offset
        pieces.append(_sound(window, position, last))
        return b"".join(pieces)


def _up(milliframes: int) -> int:
    return -(-milliframes // 1000)


def _within(spans: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of `spans` that lie in a window."""
    for first, last in spans:
        if first < end and last > start and first < last:
            yield max(first, start), min(last, end)


def _sound(window: AudioSegment, first: int, last: int) -> bytes:
    data: bytes = window.get_sample_slice(first, last).raw_data
    return data
