"""Runs in parallel: each worker has an exchange and a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

from tests.conftest import MEMORY
from tests.faults.exchange import serve, set_mood
from tests.faults.run import Outcome, Run, prepare


def outcomes(seeds: Sequence[int]) -> Iterator[Outcome]:
    """What became of each run, as they end; as many at a time as there are cores."""
    home = Path(tempfile.mkdtemp(prefix="recorder-faults-", dir=MEMORY))
    # Spawned workers have no threads, so that they may fork.
    with get_context("spawn").Pool(os.cpu_count(), initializer=_settle_in, initargs=(home,)) as pool:
        yield from pool.imap_unordered(_run, seeds)
    shutil.rmtree(home, ignore_errors=True)


_place: tuple[Path, Path, Path, int]


def _settle_in(home: Path) -> None:
    global _place  # noqa: PLW0603 -- a worker has one place
    folder = home / str(os.getpid())
    spool, prepared = folder / "spool", folder / "prepared"
    spool.mkdir(parents=True)
    set_mood(spool, "well")
    prepare(prepared)
    _place = folder, prepared, spool, serve(spool)


def _run(seed: int) -> Outcome:
    folder, prepared, spool, port = _place
    mine = folder / f"run-{seed}"
    mine.mkdir()
    try:
        return Run(seed, prepared, mine, spool, port)()
    finally:
        shutil.rmtree(mine, ignore_errors=True)
