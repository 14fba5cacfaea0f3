"""A media player such as anybody has."""

from __future__ import annotations

import subprocess
from pathlib import Path

from recorder.audio import ffmpeg


def play(path: Path) -> tuple[bytes, str]:
    """The samples that ffmpeg makes of a file, and the last line of its messages.

    Only samples count: random bytes may well look like the beginning of one of the hundreds of formats it knows.
    """
    played = subprocess.run(  # noqa: S603 -- our own file
        [ffmpeg(), "-nostdin", "-hide_banner", "-i", str(path), "-f", "s16le", "-"], capture_output=True, check=False
    )
    return played.stdout, played.stderr.decode("utf-8", "replace").strip().splitlines()[-1]
