"""`make bench`: take every figure and write docs/performance.md. Exit 1 where a limit is missed.

`python -m tests.bench webhooks|captures|downloads|parts|crowds` measures only these and writes nothing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.bench import captures, crowds, downloads, parts, webhooks
from tests.bench.figures import Figure, page, show

SUBJECTS = {
    "webhooks": webhooks,
    "captures": captures,
    "downloads": downloads,
    "parts": parts,
    "crowds": crowds,
}
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def main() -> None:
    wanted = sys.argv[1:]
    taken: list[Figure] = []
    started = time.monotonic()
    for name in wanted or SUBJECTS:
        print(f"measuring {name} …", file=sys.stderr)
        for figure in SUBJECTS[name].figures():
            print(f"  {figure.name}: {figure.value:.2f}, {figure.verdict}", file=sys.stderr)
            taken.append(figure)
    if not wanted:
        PAGE.write_text(page(taken, time.monotonic() - started), "utf-8")
    sys.exit(0 if show(taken) else 1)


if __name__ == "__main__":
    main()
