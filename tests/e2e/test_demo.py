"""`recorder demo --once`, exactly as the README says it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from api.demo.player import play

SPEECH = Path(__file__).parents[2] / "api" / "demo" / "speech" / "billing-da.wav"


def _demo(data: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECORDER_DATA_DIR": str(data), "RECORDER_HTTP__PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", "api.cli", "demo", "--once"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_the_demo_tells_the_whole_story_and_leaves_no_audio_behind(tmp_path: Path) -> None:
    told = _demo(tmp_path / "demo")

    assert told.returncode == 0, told.stdout + told.stderr
    for line in (
        "ffmpeg says: ",
        "0 bytes kept",
        "she listens: 206",
        "0 bytes left",
        "(key_destroyed)",
        "all in order",
    ):
        assert line in told.stdout
    assert not [path for path in (tmp_path / "demo" / "objects").rglob("*") if path.is_file() and path.name[0] != "."]


def test_bytes_that_only_look_like_something_are_not_heard(tmp_path: Path) -> None:
    """One sealed object in a hundred looks to ffmpeg like the beginning of one of its formats."""
    lyrics = tmp_path / "lyrics"
    lyrics.write_text("[00:12.00]words\n[00:15.00]more words\n")

    sound, words = play(lyrics)
    assert (sound, bool(words)) == (b"", True)
    assert len(play(SPEECH)[0]) > 16_000


def test_the_demo_never_touches_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")

    refused = _demo(tmp_path)

    assert refused.returncode == 2
    assert "not a demo" in refused.stderr
    assert (tmp_path / "precious").read_text() == "mine"
