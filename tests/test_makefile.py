"""Setting up where it cannot be done: what is missing is named, and nothing is left half made for the next try."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WITHOUT_VENV = """\
#!/bin/sh
case "$*" in *ensurepip*) exit 1 ;; esac
"""
STOPS_HALF_WAY = """\
#!/bin/sh
case "$*" in "-m venv"*) mkdir -p "$3/bin"; touch "$3/bin/python"; echo "Error: no space" >&2; exit 1 ;; esac
"""


@pytest.mark.parametrize(
    ("python", "words"), [(WITHOUT_VENV, "apt-get install python3-venv"), (STOPS_HALF_WAY, "Error: no space")]
)
def test_setup_says_why_it_cannot(python: str, words: str, tmp_path: Path) -> None:
    stub = tmp_path / "python"
    stub.write_text(python)
    stub.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    for _ in range(2):
        tried = subprocess.run(
            ["make", "setup", f"PYTHON={stub}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert tried.returncode == 2
        assert words in tried.stdout + tried.stderr
        assert "pip install" not in tried.stdout
    assert not (tmp_path / ".venv").exists()
