"""`python -m tests.faults [RUNS] [SEED]`: random lives, and what was lost, doubled or kept without consent.

Exit 1 where anything was. A run that failed is repeated alone by `python -m tests.faults 1 ITS_SEED`.
"""

from __future__ import annotations

import sys
from collections import Counter

from tests.faults.faults import steps
from tests.faults.pool import outcomes

RUNS = 1000


def main() -> None:
    runs, seed = (int(number) for number in (*sys.argv[1:], *(str(RUNS), "1")[len(sys.argv) - 1 :]))
    found = []
    for one in outcomes(range(seed, seed + runs)):
        found.append(one)
        print(f"\r{len(found)}/{runs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    broken = [one for one in found if one.faults]
    for one in broken[:20]:
        print(f"seed {one.seed}:", *one.faults, sep="\n  ")
        print("  it lived:", *one.story, sep="\n    ")
    killed: Counter[str] = sum((one.killed for one in found), Counter())
    suffered: Counter[str] = sum((one.suffered for one in found), Counter())
    print(f"{runs} runs, {len(broken)} in which something was lost, doubled or kept without consent")
    print("suffered:", ", ".join(f"{kind} {count}" for kind, count in suffered.most_common()))
    came_by: Counter[str] = sum((one.reached for one in found), Counter())
    print("never came by:", ", ".join(step for step in steps() if not came_by[step]) or "none")
    print("killed at:", ", ".join(f"{step} {killed[step]}" for step in steps()))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
