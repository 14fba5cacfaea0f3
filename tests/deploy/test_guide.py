"""What docs/operating.md has people type works as it stands there."""

from __future__ import annotations

import base64
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

from tests.deploy.test_monitoring import ROOT

GUIDE = (ROOT / "docs" / "operating.md").read_text("utf-8")


def typed(word: str) -> str:
    """The block of commands in which a word stands."""
    (block,) = (found for found in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if word in found)
    return str(block)


def test_a_configured_root_key_is_rotated(tmp_path: Path) -> None:
    kept, data = tmp_path / "secrets" / "root_key", tmp_path / "data"
    kept.parent.mkdir()
    kept.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "RECORDER_DATA_DIR": str(data)}
    environment["RECORDER_KEYS__ROOT_KEY_FILE"] = str(kept)

    def run(commands: str) -> str:
        said = subprocess.run(
            ["sh", "-e", "-c", commands], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
        return said.stdout

    run("recorder token create --role dpo --name A")
    before = kept.read_bytes()
    run(typed("keys rotate").replace("/etc/recorder/secrets", str(kept.parent)))

    assert kept.read_bytes() != before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not (data / "root.key").exists()
    assert "dpo" in run("recorder token list")
