"""P1: whatever a codec or a container does to time (a delay, a gap, a slow clock), nothing from before the yes is kept
and nothing moves.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from recorder.audio import Cut, ffmpeg
from recorder.consent.spans import UNTIL_END
from recorder.errors import AudioError
from tests.recorder.audio.kinds import SOUND
from tests.recorder.audio.renditions import Kept, refused
from tests.recorder.sounds import RATE, decoded, encoded, speechlike


def test_p1_an_mp3_keeps_nothing_from_before_the_consent() -> None:
    """Loud before the consent, silent after: whatever the codec's delay, nothing loud may be left."""
    samples = speechlike(6, 1)
    samples[3 * RATE :] = 0
    for name in ("0", "1"):
        data = encoded(samples, "-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", name, "-f", "mp3")
        kept = Kept(data, Cut(((3000, 6000),)))
        sound = decoded(kept["original"], "flac")
        assert 2.5 * RATE < len(sound) < 3 * RATE
        assert np.abs(sound).max() < 200


@pytest.mark.parametrize(("codec", "container"), [("libmp3lame", "wav"), ("mp2", "wav"), ("libspeex", "ogg")])
def test_p1_a_codec_that_delays_keeps_nothing_from_before_the_consent_in_any_container(
    codec: str, container: str
) -> None:
    if codec not in subprocess.run([ffmpeg(), "-encoders"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("not every ffmpeg writes Speex")
    samples = speechlike(6, 1, 16_000)
    samples[3 * 16_000 :] = 0
    kept = Kept(encoded(samples, "-c:a", codec, "-f", container, rate=16_000), Cut(((3000, UNTIL_END),)))
    sound = decoded(kept["original"], "flac")
    assert 2.5 < len(sound) / 16_000 < 3.1
    assert np.abs(sound).max() < 200
    assert kept.produced.lag_ms > 100


def with_gap(seconds: float, codec: str = "libopus") -> bytes:
    """`SOUND` in Ogg, with so much left out after three seconds as a recorder leaves out what did not come."""
    return encoded(SOUND, "-af", rf"asetpts=PTS+gte(T\,3)*{seconds}/TB", "-c:a", codec, "-f", "ogg")


@pytest.mark.parametrize("codec", ["libopus", "flac"])
@pytest.mark.parametrize("seconds", [0.06, 5, 25])
def test_p1_what_follows_a_gap_of_an_ogg_file_stays_where_it_was_said(codec: str, seconds: float) -> None:
    data, gap = with_gap(seconds, codec), round(seconds * 1000)
    assert Kept(data).produced.duration_ms == pytest.approx(6500 + gap, abs=10)
    kept = Kept(data, Cut(((0, 3000 + gap),)))
    for rendition, kind in (("original", "flac"), ("playback", "mp3")):
        sound = decoded(kept[rendition], kind, "-ar", str(RATE)).reshape(-1, 2)
        assert np.abs(sound[: 3 * RATE]).max() > 8000
        assert len(sound) / RATE == pytest.approx(3 + seconds, abs=0.4)
        assert seconds < 1 or np.abs(sound[4 * RATE :]).max() < 200


def test_p1_a_gap_too_long_to_be_filled_is_refused() -> None:
    assert refused(with_gap(4 * 3600)) is AudioError


def test_p6_an_ogg_file_whose_time_goes_too_slowly_is_kept_all_the_same() -> None:
    data = encoded(SOUND, "-af", "asetpts=PTS/3", "-c:a", "libopus", "-page_duration", "20000", "-f", "ogg")
    assert Kept(data).produced.duration_ms == pytest.approx(6500, abs=100)
