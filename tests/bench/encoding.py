"""`python -m tests.bench.encoding ROUNDS SECONDS MEDIA_PORT FOLDER`: prints two times in seconds.

A capture of mu-law sound, for which a browser needs an MP3, and ffmpeg making that MP3 from a file into a file.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from recorder.audio import ffmpeg
from recorder.audio.coder import PLAYBACK_KBIT
from tests.bench.capturing import announce, captured, plain_file, prepared
from tests.bench.figures import alternated
from tests.bench.media import RATE


def encoded(folder: Path) -> None:
    shape = ["-ar", str(RATE), "-b:a", f"{2 * PLAYBACK_KBIT}k", "-c:a", "libmp3lame", "-write_xing", "0"]
    command = [ffmpeg(), "-v", "quiet", "-threads", "1", "-i", str(folder / "plain"), *shape, "-f", "mp3", "-y"]
    subprocess.run([*command, str(folder / "encoded")], check=True)


def main() -> None:
    rounds, seconds, port, place = sys.argv[1:]
    origin, folder = f"http://127.0.0.1:{port}", Path(place)
    url, names = f"{origin}/ulaw/{seconds}", iter(range(int(rounds)))
    with prepared(folder, origin) as service:
        plain_file(url, origin, folder)

        def theirs() -> float:
            started = time.perf_counter()
            encoded(folder)
            return time.perf_counter() - started

        def ours() -> float:
            announce(service, url, int(seconds), f"pbx-{next(names)}")
            started = time.perf_counter()
            captured(service)
            return time.perf_counter() - started

        print(*alternated(int(rounds), theirs, ours))


if __name__ == "__main__":
    main()
