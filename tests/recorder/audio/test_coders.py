"""Decoders and encoders as processes: killed when they take too long, out of everybody's way, and hiding no error of
the source.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.audio import Limits, coder, produce
from recorder.audio.coder import mp3_encoder
from recorder.audio.wav import PcmFormat
from recorder.errors import AudioTimeoutError
from tests.recorder.audio.kinds import KINDS
from tests.recorder.audio.renditions import LIMITS, Kept


def test_a_decoder_that_takes_too_long_is_killed() -> None:
    with pytest.raises(AudioTimeoutError):
        Kept(KINDS["opus"][0], limits=Limits(max_seconds=100, timeout_s=0))


def test_a_decoder_that_gives_all_and_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped, or starved by its neighbours, between its last byte and its end."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec 0<&- 1>&-\nexec /bin/sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(coder, "ffmpeg", lambda: str(program))
    with closing(coder.decoder("mp3", time.monotonic() + 0.5)) as decoder, pytest.raises(AudioTimeoutError):
        list(decoder.finish())


def test_what_a_source_raises_comes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield KINDS["opus"][0][:5000]
        raise AudioTimeoutError

    with pytest.raises(AudioTimeoutError):
        produce(
            broken(),
            cut=None,
            open_sinks=lambda wanted: {rendition: io.BytesIO() for rendition in wanted},
            limits=LIMITS,
        )


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux alone has this class")
def test_an_encoder_computes_when_nobody_else_would() -> None:
    with closing(mp3_encoder(PcmFormat(channels=2, rate=8000), time.monotonic() + 10)) as encoder:
        assert os.sched_getscheduler(encoder._process.pid) == os.SCHED_IDLE
