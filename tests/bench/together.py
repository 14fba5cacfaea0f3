"""`python -m tests.bench.together COUNT SECONDS MEDIA_PORT FOLDER`: so many at a time; prints the peak in MiB."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.capturing import announce, captured, peak_mib, prepared


def main() -> None:
    count, seconds, port, place = sys.argv[1:]
    origin = f"http://127.0.0.1:{port}"
    with prepared(Path(place), origin) as service, ThreadPoolExecutor(int(count)) as pool:
        for number in range(int(count)):
            announce(service, f"{origin}/wav/{seconds}", int(seconds), f"pbx-{number}")
        list(pool.map(captured, [service] * int(count)))
    print(peak_mib())


if __name__ == "__main__":
    main()
