"""Bars drawn from peaks, and a WAV turned into MP3 on its way out."""

from __future__ import annotations

import math
import struct
import subprocess
from collections.abc import Iterator

import pytest

from api.waves import paths
from recorder.audio import ffmpeg
from recorder.audio.peaks import Peaks
from recorder.audio.wav import PcmFormat
from recorder.disclosure import mp3, waveform
from recorder.errors import AudioError, AudioUnsupportedError
from tests.api.conftest import speech


def peaks(frames: Iterator[tuple[int, int]]) -> bytes:
    pcm = PcmFormat(8000, 2)
    made = Peaks(pcm)
    body = made.feed(b"".join(struct.pack("<hh", *frame) for frame in frames)) + made.finish()
    return made.header + body


def test_each_channel_is_a_lane_as_loud_as_it_was() -> None:
    loud_left_then_right = (
        (int(16000 * math.sin(n)), 0) if n < 40_000 else (0, int(8000 * math.sin(n))) for n in range(80_000)
    )
    left, right = waveform.bars(peaks(loud_left_then_right), 10)

    assert left == pytest.approx([1.0] * 5 + [waveform.QUIETEST] * 5, abs=0.02)
    assert right == pytest.approx([waveform.QUIETEST] * 5 + [0.5] * 5, abs=0.02)


@pytest.mark.parametrize("frames", [0, 1, 159, 161, 8000])
def test_short_recordings_have_as_many_bars(frames: int) -> None:
    lanes = waveform.bars(peaks((1000, -32768) for _ in range(frames)), 120)
    assert [len(lane) for lane in lanes] == [120, 120]
    assert all(0 < height <= 1 for lane in lanes for height in lane)


@pytest.mark.parametrize("broken", [b"", b"PEAK", b"RIFF" + bytes(40)])
def test_what_are_no_peaks_is_refused(broken: bytes) -> None:
    with pytest.raises(AudioError):
        waveform.bars(broken)


def test_lanes_are_drawn_within_their_frame() -> None:
    drawing = paths([[0.02, 1.0], [0.5, 0.5]])
    assert (drawing["width"], drawing["height"]) == (8, 72)
    assert drawing["lanes"] == ["M2 17.5V18.5M6 2.0V34.0", "M2 46.0V62.0M6 46.0V62.0"]


class Memory:
    """A reader over bytes, in small pieces."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, 1000):
            yield self._data[at : min(at + 1000, stop)]


def test_a_wav_leaves_as_an_mp3_of_the_same_length_and_the_size_foretold() -> None:
    made = b"".join(mp3.encoded(Memory(speech(10))))
    told = subprocess.run(
        [ffmpeg(), "-hide_banner", "-i", "pipe:0", "-f", "null", "-"], input=made, capture_output=True, check=True
    ).stderr.decode()

    assert "Audio: mp3" in told
    assert "Duration: 00:00:10" in told or "time=00:00:10" in told
    assert len(made) == pytest.approx(10_000 * mp3.BYTES_PER_MS * 2, rel=0.03)


def test_what_is_no_wav_is_refused_before_the_first_byte() -> None:
    with pytest.raises(AudioError):
        next(mp3.encoded(Memory(b"<html>" * 100)))
    with pytest.raises(AudioUnsupportedError):
        next(mp3.encoded(Memory(b"RIFF\x00\x00")))
