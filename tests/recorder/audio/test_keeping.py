"""Audio of every kind is kept as it was received, with a playback where one is needed, and an outline of its own."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from recorder.audio import read_peaks_header, sniff
from tests.recorder.audio.kinds import KINDS, SOUND
from tests.recorder.audio.renditions import Kept
from tests.recorder.sounds import RATE, decoded, encoded, speechlike, wav


@pytest.mark.parametrize("name", KINDS)
def test_whole_audio_is_kept_as_received(name: str) -> None:
    data, content_type, playback, channels = KINDS[name]
    kept = Kept(data)
    assert kept["original"] == data
    assert kept.produced.sha256 == hashlib.sha256(data).digest()
    assert kept.produced.size_bytes == len(data)
    assert kept.produced.content_type == kept.types["original"] == content_type
    assert kept.produced.channels == channels
    assert kept.produced.duration_ms == pytest.approx(6500, abs=300 if "mp3" in name else 10)
    assert ("playback" in kept.sinks) is playback
    if playback:
        sound = decoded(kept["playback"], "mp3")
        assert kept.types["playback"] == "audio/mpeg"
        assert sniff(kept["playback"]) == "mp3"
        assert np.abs(sound).max() > 8000
    peaks = kept.peaks()
    assert peaks.shape[1] == channels
    assert len(peaks) == pytest.approx(325, abs=15)
    assert peaks[20:300, 0, 0].max() < -35
    assert peaks[20:300, 0, 1].min() > 35


def test_peaks_are_the_extremes_of_each_point() -> None:
    kept = Kept(wav(SOUND), step=777)
    header = read_peaks_header(kept["peaks"])
    assert (header.channels, header.rate, header.frames_per_point) == (2, RATE, RATE // 50)
    points = SOUND.reshape(-1, 160, 2)
    assert (kept.peaks()[:, :, 0] == points.min(axis=1) >> 8).all()
    assert (kept.peaks()[:, :, 1] == points.max(axis=1) >> 8).all()


@pytest.mark.parametrize("name", ["8-bit", "24-bit"])
def test_other_widths_draw_the_same_outline(name: str) -> None:
    difference = Kept(KINDS[name][0]).peaks().astype(int) - Kept(wav(SOUND)).peaks().astype(int)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("step", [1, 13, 44, 4096, 10_000_000])
def test_the_header_may_come_in_any_pieces(step: int) -> None:
    short = speechlike(0.2)
    junk = struct.pack("<4sI", b"LIST", 7) + b"seventh" + b"\0"
    data = wav(short, before=junk, after=struct.pack("<4sI", b"id3 ", 3) + b"abc\0")
    kept = Kept(data, step=step)
    assert kept["original"] == data
    assert kept.produced.frames == len(short)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_streamed_wav_without_a_length_is_read_to_its_end(size: int) -> None:
    assert Kept(wav(SOUND, size=size)).produced.frames == len(SOUND)


def test_wave_format_extensible_is_pcm() -> None:
    fmt = struct.pack("<HHIIHHHHIH", 0xFFFE, 2, RATE, RATE * 4, 4, 16, 22, 16, 3, 1) + bytes.fromhex(
        "000000001000800000aa00389b71"
    )
    body = (
        b"WAVE"
        + struct.pack("<4sI", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", SOUND.nbytes)
        + SOUND.tobytes()
    )
    kept = Kept(struct.pack("<4sI", b"RIFF", len(body)) + body)
    assert "playback" not in kept.sinks
    assert kept.produced.frames == len(SOUND)


@pytest.mark.parametrize("title", ["Call 81", "Call Info: Bo Hansen", "Xing: Oslo"])
def test_p6_the_words_of_a_tag_are_no_index_of_an_mp3(title: str) -> None:
    text = b"\0" + title.encode()
    frame = b"TIT2" + struct.pack(">I", len(text)) + b"\0\0" + text
    tag = b"ID3\3\0\0\0\0\0" + bytes([len(frame)]) + frame
    sound = encoded(
        speechlike(3, 1), "-c:a", "libmp3lame", "-b:a", "32k", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"
    )
    assert Kept(tag + sound).produced.frames > 2.9 * RATE
