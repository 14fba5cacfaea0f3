"""The tones a canary call is made of, and what became of them in its recording.

Each end plays a row of beeps of its own, up and down again, so that a recording tells who was heard where, and
whether all of it was. Frequencies lie where every telephone codec carries them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recorder.audio.coder import decoder
from recorder.audio.sniff import HEAD_BYTES, sniff
from recorder.audio.wav import WavReader
from recorder.errors import AudioUnsupportedError

End = Literal["caller", "agent"]
Fault = Literal["mono", "silent", "one_way", "swapped", "mixed", "truncated"]
Samples = NDArray[np.int16]

RATE = 8000
UP: dict[End, tuple[int, ...]] = {"caller": (500, 700, 900, 1100, 1300), "agent": (600, 800, 1000, 1200, 1400)}
BEEP_SECONDS, GAP_SECONDS = 0.4, 0.1
LOUDNESS = 8000  # of 32,767: as loud as speech

WINDOW_SECONDS = 0.05
SHORTEST_WINDOWS = 3  # a beep has eight; codecs smear its ends
SHARE = 0.2  # of a window's energy in one tone: two ends heard at once still have a third each
QUIET = 100.0  # root mean square below which nobody would hear anything
LEAK = 2  # so many beeps of the other end in a channel still pass for an echo
MOST_SECONDS = 300
DECODE_SECONDS = 60.0


def row(end: End) -> tuple[int, ...]:
    """The frequencies an end plays, in Hz, in order."""
    return UP[end] + UP[end][-2::-1]


def seconds() -> float:
    """How long a row of beeps lasts."""
    return len(row("caller")) * (BEEP_SECONDS + GAP_SECONDS)


def samples(end: End) -> Samples:
    """The beeps of one end at `RATE`."""
    at = np.arange(int(BEEP_SECONDS * RATE)) / RATE
    gap = np.zeros(int(GAP_SECONDS * RATE))
    beeps = itertools.chain.from_iterable((np.sin(2 * np.pi * hertz * at) * LOUDNESS, gap) for hertz in row(end))
    return np.concatenate(list(beeps)).astype("<i2")


def wav(channels: Sequence[Samples]) -> bytes:
    """A WAV file of channels of equal length at `RATE`."""
    sound = np.stack(list(channels), axis=1).astype("<i2").tobytes()
    frame = 2 * len(channels)
    form = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((1, 2), (len(channels), 2), (RATE, 4), (RATE * frame, 4), (frame, 2), (16, 2))
    )
    data = b"data" + len(sound).to_bytes(4, "little") + sound
    body = b"WAVEfmt " + len(form).to_bytes(4, "little") + form + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def faults(file: Iterable[bytes | memoryview]) -> list[Fault]:
    """What is wrong with a canary's recording (caller left, agent right); empty where both rows are whole.

    Reads at most `MOST_SECONDS` of it. Raises `AudioError` where it is no audio at all.
    """
    channels = _decoded(file)
    if len(channels) != 2:  # noqa: PLR2004 -- one for each end
        return ["mono"]
    loud = [float(np.sqrt(np.mean(np.square(channel, dtype=np.float64)))) >= QUIET for channel in channels]
    if not any(loud):
        return ["silent"]
    if not all(loud):
        return ["one_way"]
    return _misheard([_heard(channel) for channel in channels])


def _misheard(heard: list[list[int]]) -> list[Fault]:
    own = [_of(end, tones) for end, tones in zip(UP, heard, strict=True)]
    other = [_of(end, tones) for end, tones in zip(reversed(UP), heard, strict=True)]
    if all(len(theirs) > len(ours) for ours, theirs in zip(own, other, strict=True)):
        return ["swapped"]
    if any(len(theirs) > LEAK for theirs in other):
        return ["mixed"]
    whole = all(tuple(tones) == row(end) for end, tones in zip(UP, own, strict=True))
    return [] if whole else ["truncated"]


def _of(end: End, tones: list[int]) -> list[int]:
    return [hertz for hertz in tones if hertz in UP[end]]


def _heard(channel: Samples) -> list[int]:
    """The beeps of either end in the order in which they begin."""
    size = int(RATE * WINDOW_SECONDS)
    windows = channel[: len(channel) // size * size].reshape(-1, size).astype(np.float64)
    energy = np.square(windows).sum(axis=1)
    begins = []
    for hertz in sorted({hertz for up in UP.values() for hertz in up}):
        wave = np.exp(-2j * np.pi * hertz * np.arange(size) / RATE)
        power = np.square(np.abs(windows @ wave)) * 2 / size
        present = (power > SHARE * energy) & (energy > size * QUIET**2)
        begins += [(start, hertz) for start in _runs(present)]
    return [hertz for _, hertz in sorted(begins)]


def _runs(present: NDArray[Any]) -> list[int]:
    """Where each run of at least `SHORTEST_WINDOWS` windows begins."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], present.astype(np.int8), [0]))))
    return [int(start) for start, stop in edges.reshape(-1, 2) if stop - start >= SHORTEST_WINDOWS]


def _decoded(file: Iterable[bytes | memoryview]) -> list[Samples]:
    """Each channel of a recording at `RATE`, whatever it was kept as."""
    pieces = iter(file)
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
        head += bytes(piece)
    kind = sniff(head)
    if kind is None:
        raise AudioUnsupportedError
    reader, sound = WavReader(), bytearray()
    coder = decoder(kind, time.monotonic() + DECODE_SECONDS, hertz=RATE)
    try:
        for piece in itertools.chain([head], pieces):
            for out in coder.feed(bytes(piece)):
                sound += reader.feed(out)
            if reader.ready and len(sound) > MOST_SECONDS * RATE * reader.format.frame_bytes:
                break
        else:
            for out in coder.finish():
                sound += reader.feed(out)
    finally:
        coder.close()
    reader.check_header()
    frames = np.frombuffer(sound, "<i2").reshape(-1, reader.format.channels)
    return [np.ascontiguousarray(frames[:, number]) for number in range(frames.shape[1])]
