"""`recorder demo --once`, exactly as the README says it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from api.demo.player import play
from api.demo.stage import prepare

SPEECH = Path(__file__).parents[2] / "api" / "demo" / "speech" / "billing-da.wav"


COMMAND = (sys.executable, "-m", "api.cli", "demo")


def _environment(data: Path) -> dict[str, str]:
    return {**os.environ, "RECORDER_DATA_DIR": str(data), "RECORDER_HTTP__PORT": "0"}


def _demo(data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--once"],
        env=_environment(data),
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


def test_a_place_that_cannot_be_had_is_one_line_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    refused = _demo(tmp_path / "file" / "demo")

    assert refused.returncode == 2
    assert "Not a directory; set RECORDER_DATA_DIR" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_demo_that_is_running_keeps_its_folder(tmp_path: Path) -> None:
    with prepare(tmp_path / "demo"):
        refused = _demo(tmp_path / "demo")

    assert refused.returncode == 2
    assert "a demo is running" in refused.stderr
    prepare(tmp_path / "demo").close()


def test_it_ends_quietly_while_it_is_being_used(tmp_path: Path) -> None:
    """A request that is under way then still has its log."""
    half = b"POST /access/open HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken"
    with subprocess.Popen(
        COMMAND, env=_environment(tmp_path / "demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as story:
        assert story.stdout is not None
        told = "".join(iter(story.stdout.readline, "  Ctrl-C ends it.\n"))
        (port,) = set(re.findall(r"http://127.0.0.1:(\d+)/access/", told))
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(half)
            time.sleep(0.5)
            story.send_signal(signal.SIGINT)
            assert story.stdout.readline() == "  bye\n"
        _, errors = story.communicate(timeout=120)

    assert (story.returncode, errors) == (0, "")
    assert '"status": 499' in (tmp_path / "demo" / "recorder.log").read_text()
