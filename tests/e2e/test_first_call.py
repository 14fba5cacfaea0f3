"""What docs/platforms.md tells whoever connects an exchange for the first time works as it is written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.server import listening
from recorder import tokens
from recorder.actors import SYSTEM
from recorder.service import opened
from recorder.settings import load
from storage.clock import utc_now
from tests.recorder.sounds import silence, wav
from tests.servers.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.skipif(
    "CI" not in os.environ and not (shutil.which("curl") and shutil.which("openssl")),
    reason="needs curl and openssl on this machine",
)
def test_the_first_call_of_the_documentation_is_kept(tmp_path: Path) -> None:
    _, commands = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    (tmp_path / "pbx-81.wav").write_bytes(wav(silence(1)))
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = load(
        {
            "RECORDER_DATA_DIR": str(data),
            "RECORDER_HTTP__PORT": str(port),
            "RECORDER_HTTP__PUBLIC_URL": url,
            "RECORDER_PLATFORMS__STANDARD__SECRETS": SECRET,
        }
    )
    with opened(settings) as service, listening(service):
        token = tokens.create(service, "platform", "Exchange", utc_now(), actor=SYSTEM)[0]
        told = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "RECORDER": url, "SECRET": SECRET, "TOKEN": token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (told.stdout, told.stderr, told.returncode) == ('{"state":"stored"}', "", 0)
