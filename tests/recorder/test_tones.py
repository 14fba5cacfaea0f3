"""A canary's beeps survive what telephones do to sound; what is wrong with them has a name."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from recorder.audio import ffmpeg, tones
from recorder.errors import AudioError

CALLER, AGENT = tones.samples("caller"), tones.samples("agent")
SILENCE = np.zeros(tones.RATE * 2, "<i2")
NONE = np.zeros(len(CALLER), "<i2")


def recording(left: tones.Samples, right: tones.Samples) -> bytes:
    """The call as it goes: some silence, the agent answers a little later than the caller begins."""
    late = np.zeros(1234, "<i2")
    return tones.wav([np.concatenate([SILENCE, left, late, SILENCE]), np.concatenate([SILENCE, late, right, SILENCE])])


def through(wav: bytes, *codec: str) -> bytes:
    command = [ffmpeg(), "-v", "error", "-i", "pipe:0", *codec, "pipe:1"]
    return subprocess.run(command, input=wav, capture_output=True, check=True).stdout


def test_both_rows_whole() -> None:
    assert tones.faults([recording(CALLER, AGENT)]) == []


@pytest.mark.parametrize(
    "codec",
    [
        ("-c:a", "pcm_mulaw", "-f", "wav"),
        ("-c:a", "pcm_alaw", "-f", "wav"),
        ("-c:a", "flac", "-f", "flac"),
        ("-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"),
        ("-c:a", "libopus", "-b:a", "24k", "-f", "ogg"),
        ("-ar", "48000", "-f", "wav"),
    ],
    ids=lambda codec: codec[1],
)
def test_whatever_carries_them(codec: tuple[str, ...]) -> None:
    carried = through(recording(CALLER, AGENT), *codec)

    assert tones.faults([carried[:100], carried[100:]]) == []


def test_line_noise_hides_nothing() -> None:
    noise = np.random.default_rng(7).normal(0, 400, len(CALLER)).astype("<i2")

    assert tones.faults([recording(CALLER // 2 + noise, AGENT // 2 + noise)]) == []


@pytest.mark.parametrize(
    ("left", "right", "fault"),
    [
        (NONE, NONE, "silent"),
        (CALLER, NONE, "one_way"),
        (NONE, AGENT, "one_way"),
        (AGENT, CALLER, "swapped"),
        (CALLER // 2 + AGENT // 2, CALLER // 2 + AGENT // 2, "mixed"),
        (CALLER[: -tones.RATE], AGENT, "truncated"),
        (CALLER, AGENT[tones.RATE :], "truncated"),
        (np.concatenate([CALLER[:8000], NONE[8000:16000], CALLER[16000:]]), AGENT, "truncated"),
        (CALLER, np.random.default_rng(7).normal(0, 3000, len(AGENT)).astype("<i2"), "truncated"),
    ],
)
def test_what_is_wrong_has_a_name(left: tones.Samples, right: tones.Samples, fault: str) -> None:
    size = max(len(left), len(right))
    left, right = (np.pad(side, (0, size - len(side))) for side in (left, right))

    assert tones.faults([recording(left, right)]) == [fault]


def test_one_channel_is_not_two() -> None:
    assert tones.faults([tones.wav([CALLER])]) == ["mono"]


def test_a_page_is_no_recording() -> None:
    with pytest.raises(AudioError):
        tones.faults([b"<html>" * 1000])
