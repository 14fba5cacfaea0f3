"""However the bytes of a recording come in, the same comes out of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.audio.cut import Cut, Cutter
from recorder.audio.peaks import HEADER_BYTES, Peaks
from recorder.audio.wav import MAX_HEADER_BYTES, PcmFormat, WavReader
from recorder.audio.wholeness import Wholeness
from recorder.errors import AudioError, AudioTruncatedError

RATES = st.sampled_from([1000, 7999, 8000, 44_100])
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4).map(tuple)
CUTS = st.lists(st.integers(0, 400), max_size=6)


def wav(sound: bytes, *, bits: int = 16, channels: int = 1, junk: int = 0, size: int | None = None) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, 8000, 8000 * block, block, bits)
    data = struct.pack("<4sI", b"data", len(sound) if size is None else size) + sound
    return b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"JUNK", junk) + bytes(junk) + fmt + data


def pieces(data: bytes, cuts: Sequence[int], unit: int = 1) -> Iterator[bytes]:
    """`data`, cut at these places, each a multiple of `unit`."""
    edges = [0, *sorted(unit * cut for cut in cuts if unit * cut <= len(data)), len(data)]
    yield from (data[start:end] for start, end in pairwise(edges))


def heard(parts: Iterator[bytes]) -> tuple[bytes, type[AudioError] | None]:
    reader, sound = WavReader(), b""
    try:
        for part in parts:
            sound += bytes(reader.feed(part))
        reader.finish()
    except AudioError as error:
        return sound, type(error)
    return sound, None


@given(st.binary(max_size=200), st.sampled_from([8, 16, 24, 32]), st.integers(1, 8), st.integers(0, 300), CUTS)
@settings(deadline=None)
def test_a_wav_sounds_the_same_in_any_pieces(
    sound: bytes, bits: int, channels: int, size: int, cuts: list[int]
) -> None:
    data = wav(sound, bits=bits, channels=channels, junk=4, size=size)

    assert heard(pieces(data, cuts)) == heard(iter([data])) == heard(pieces(data, range(len(data))))


@pytest.mark.parametrize("behind", [-2, 0, 2, 4000])
def test_how_long_a_header_may_be_does_not_depend_on_its_pieces(behind: int) -> None:
    data = wav(b"sound", junk=MAX_HEADER_BYTES - len(wav(b"")) + behind)

    def ready(step: int) -> bool:
        reader = WavReader()
        with suppress(AudioError):
            for piece in pieces(data, range(len(data) // step), step):
                reader.feed(piece)
        return reader.ready

    assert {ready(step) for step in (7, 1000, 4096, len(data))} == {behind <= 0}


@given(RATES, st.integers(1, 8), st.integers(0, 20), SPANS, SPANS, st.integers(0, 300), CUTS)
@example(8000, 1, 0, ((20, 30), (0, 10)), ((25, 28), (21, 22)), 300, [])  # as they were said, not as they lie
@settings(deadline=None)
def test_p1_a_cut_keeps_what_lies_in_its_spans_to_the_sample(
    rate: int,
    channels: int,
    lag: int,
    keep: tuple[tuple[int, int], ...],
    mute: tuple[tuple[int, int], ...],
    frames: int,
    cuts: list[int],
) -> None:
    """Judged by another way: each sample by itself, by the milliseconds it begins and ends at."""
    pcm = PcmFormat(rate, channels)
    sound = [bytes([1 + frame % 255, 1 + frame // 255]) * channels for frame in range(frames)]

    def kept(at: int) -> bool:
        return any(
            (at - (lag if start else 0)) * 1000 >= start * rate and (at + 1) * 1000 <= end * rate for start, end in keep
        )

    def muted(at: int) -> bool:
        return any((at + 1) * 1000 > start * rate and (at - lag) * 1000 < end * rate for start, end in mute)

    cutter = Cutter(Cut(keep, mute), pcm, lag)
    windows = pieces(b"".join(sound), cuts, pcm.frame_bytes)
    got = b"".join(part for window in windows for part in cutter.feed(window))

    assert got == b"".join(bytes(pcm.frame_bytes) if muted(at) else frame for at, frame in enumerate(sound) if kept(at))


@given(RATES, st.integers(1, 8), st.binary(max_size=4000), CUTS)
@settings(deadline=None)
def test_peaks_are_the_same_in_any_pieces(rate: int, channels: int, noise: bytes, cuts: list[int]) -> None:
    pcm = PcmFormat(rate, channels)
    sound = noise[: len(noise) - len(noise) % pcm.frame_bytes]
    peaks, whole = Peaks(pcm), Peaks(pcm)
    samples = struct.unpack(f"<{len(sound) // 2}h", sound)
    points = [samples[at : at + rate // 50 * channels] for at in range(0, len(samples), rate // 50 * channels)]

    drawn = b"".join(peaks.feed(piece) for piece in pieces(sound, cuts, pcm.frame_bytes)) + peaks.finish()

    assert len(peaks.header) == HEADER_BYTES
    assert drawn == whole.feed(sound) + whole.finish()
    assert drawn == b"".join(
        struct.pack("bb", min(point[channel::channels]) >> 8, max(point[channel::channels]) >> 8)
        for point in points
        for channel in range(channels)
    )


def page(flags: int, position: int, body: bytes) -> bytes:
    lengths = bytes([255] * (len(body) // 255) + [len(body) % 255])
    return b"OggS\0" + struct.pack("<BqIIIB", flags, position, 1, 0, 0, len(lengths)) + lengths + body


@pytest.mark.parametrize("said", [b"sound", b"OggS and sound"])
def test_an_ogg_ends_at_its_last_page_whatever_that_page_holds(said: bytes) -> None:
    data = page(2, 0, b"OpusHead") + page(0, 960, b"sound") + page(4, 1920, said)

    def check(read: bytes) -> None:
        wholeness = Wholeness("ogg", read[:4096])
        wholeness.feed(read)
        wholeness.check(1920)

    check(data)
    for missing in (1, len(said), len(page(4, 1920, said))):
        with pytest.raises(AudioTruncatedError):
            check(data[:-missing])
