"""P1: a cut is exact to the sample, in every kind, at every rate and on all channels; what is muted keeps its time."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from recorder.audio import Cut
from tests.recorder.audio.kinds import KINDS, SOUND
from tests.recorder.audio.renditions import Kept
from tests.recorder.sounds import RATE, decoded, speechlike, wav

SPANS = (((1001, 2503), (4000, 5000)), ((2100, 2200), (4990, 6000)))


def expected(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """The spans by another way: a mask over time, a sample counting only if all of it lies inside."""
    start, end = np.arange(len(samples)) * 1000, np.arange(1, len(samples) + 1) * 1000
    keep = np.zeros(len(samples), bool)
    for first, last in SPANS[0]:
        keep |= (start >= first * rate) & (end <= last * rate)
    sound = samples.copy()
    for first, last in SPANS[1]:
        sound[(end > first * rate) & (start < last * rate)] = 0
    return sound[keep]


@pytest.mark.parametrize("rate", [8000, 11025])
@pytest.mark.parametrize("step", [999, 250_000])
def test_p1_a_cut_is_exact_to_the_sample_on_all_channels(rate: int, step: int) -> None:
    samples = speechlike(6.5, rate=rate)
    kept = Kept(wav(samples, rate), Cut(*SPANS), step=step)
    wanted = expected(samples, rate)
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == wanted).all()
    assert kept.produced.frames == len(wanted)
    assert kept.produced.content_type == "audio/flac"
    assert kept.produced.sha256 == hashlib.sha256(kept["original"]).digest()
    assert kept.produced.received_sha256 == hashlib.sha256(wav(samples, rate)).digest()
    assert sorted(kept.sinks) == ["original", "peaks", "playback"]


@pytest.mark.parametrize("rate", [1000, 6000, 7350, 10_000, 20_000, 44_100])
def test_p6_a_rate_that_mp3_does_not_have_is_played_all_the_same(rate: int) -> None:
    samples = speechlike(6.5, rate=rate)
    kept = Kept(wav(samples, rate), Cut(*SPANS))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == expected(samples, rate)).all()
    heard = decoded(kept["playback"], "mp3", "-ar", str(RATE)).reshape(-1, 2)
    assert len(heard) / RATE == pytest.approx(2.5, abs=0.3)
    assert np.abs(heard).max() > 8000


@pytest.mark.parametrize(("channels", "speaks"), [(3, 2), (4, 3), (6, 3), (8, 3), (8, 7)])
def test_p6_whoever_speaks_on_any_channel_is_heard_in_the_playback(channels: int, speaks: int) -> None:
    samples = np.zeros((2 * RATE, channels), "<i2")
    samples[:, speaks] = speechlike(2, 1)[:, 0]
    kept = Kept(wav(samples), Cut(((0, 1500),)))
    assert (decoded(kept["original"], "flac").reshape(-1, channels) == samples[: 3 * RATE // 2]).all()
    assert np.abs(decoded(kept["playback"], "mp3")).max() > 12000 / channels


def test_p1_a_cut_of_a_decoded_kind_is_exact_too() -> None:
    kept = Kept(KINDS["flac"][0], Cut(*SPANS))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == expected(SOUND)).all()


def test_p1_a_cut_that_keeps_nothing_writes_nothing() -> None:
    kept = Kept(wav(SOUND), Cut(((7000, 9000),)))
    assert kept.produced.frames == 0
    assert kept.sinks == {}


def test_overlapping_spans_keep_a_sample_once() -> None:
    kept = Kept(wav(SOUND), Cut(((1000, 3000), (2000, 2500), (2900, 4000))))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == SOUND[RATE : 4 * RATE]).all()


def test_muting_alone_keeps_the_time_line() -> None:
    kept = Kept(wav(SOUND), Cut(((0, 6500),), ((2000, 3000),)))
    sound = decoded(kept["original"], "flac").reshape(-1, 2)
    assert len(sound) == len(SOUND)
    assert not sound[2 * RATE : 3 * RATE].any()
    assert (sound[: 2 * RATE] == SOUND[: 2 * RATE]).all()
    assert (sound[3 * RATE :] == SOUND[3 * RATE :]).all()
