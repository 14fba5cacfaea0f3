"""`make bench`: every figure beside its limit from the same run. Exit 1 where one is missed.

`python -m tests.bench webhooks|captures|downloads` measures only that.
"""

from __future__ import annotations

import sys

from tests.bench import captures, downloads, webhooks
from tests.bench.figures import Figure, show

SUBJECTS = {"webhooks": webhooks, "captures": captures, "downloads": downloads}


def main() -> None:
    wanted = sys.argv[1:] or list(SUBJECTS)
    taken: list[Figure] = []
    for name in wanted:
        print(f"measuring {name} …", file=sys.stderr)
        taken += SUBJECTS[name].figures()
    sys.exit(0 if show(taken) else 1)


if __name__ == "__main__":
    main()
