"""What goes wrong in one life of the process. Set up in a child that has done nothing yet."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import re
import signal
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from recorder import faultpoints
from tests.faults.exchange import MOODS, set_mood

ROOT = Path(__file__).parents[2]
KINDS = (*("kill",) * 9, "kill_any_time", "kill_any_time", "store", "disk", "database", "mail", *MOODS)
VM_STEPS = 200  # of SQLite's virtual machine between two checks whether it is cut off by now


ELSEWHERE = {"once.acted"}  # acts under a client's key are asked for over HTTP: tests/recorder/test_once.py


@functools.cache
def steps() -> list[str]:
    """Every step the program names, read from its source, so that kills happen at new steps too."""
    found: set[str] = set()
    for file in itertools.chain((ROOT / "recorder").rglob("*.py"), (ROOT / "storage").rglob("*.py")):
        found |= set(re.findall(r'reached\("([a-z._]+)"\)', file.read_text("utf-8")))
    return sorted(found - ELSEWHERE)


@dataclass(frozen=True)
class Fault:
    kind: str
    step: str = ""
    count: int = 1  # which time the step is reached; else how soon it breaks, counted in time, writes or queries

    def __str__(self) -> str:
        return f"{self.kind} {self.step or ''}×{self.count}"


def fault(chance: Random, acts: Collection[str]) -> Fault:
    """Something that goes wrong; a kill comes at a step of one of these acts."""
    kind = chance.choice(KINDS)
    if kind == "kill":
        return Fault(
            kind, chance.choice([step for step in steps() if step.split(".")[0] in acts]), chance.choice((1, 1, 2))
        )
    return Fault(kind, count=chance.randrange(1, 60))


@contextmanager
def outside(broken: Fault | None, data: Path, spool: Path) -> Iterator[None]:
    """Break something around the process while it lives, and mend it afterwards."""
    mood = broken.kind if broken and broken.kind in MOODS else "well"
    set_mood(spool, mood)
    moved = {"store": data / "objects", "mail": data / "outbox"}.get(broken.kind if broken else "")
    aside = data / "aside"
    if moved is not None and moved.exists():
        moved.rename(aside)
    if moved is not None and broken is not None and broken.kind == "mail":
        moved.write_text("not a folder")
    try:
        yield
    finally:
        if moved is not None and moved.is_file():
            moved.unlink()
        if aside.exists() and moved is not None:
            if moved.exists():  # an empty one was made meanwhile
                moved.rename(data / f"made-{os.urandom(4).hex()}")
            aside.rename(moved)


def inside(broken: Fault | None, reached: Path) -> None:
    """Arrange for what this process will suffer, and write down the steps it reaches."""
    seen: Counter[str] = Counter()
    descriptor = os.open(reached, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    really_write = os.write

    def hook(name: str) -> None:
        seen[name] += 1
        really_write(descriptor, f"{name}\n".encode())
        if broken and broken.kind == "kill" and broken.step == name and seen[name] == broken.count:
            really_write(descriptor, f"{name} killed\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    faultpoints.hook = hook
    if broken and broken.kind == "kill_any_time":
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, broken.count * 0.01)
    if broken and broken.kind == "disk":
        _fill_disk(broken.count)
    if broken and broken.kind == "database":
        _cut_database(broken.count * 40)


def _fill_disk(count: int) -> None:
    """Every write and flush of files from the n-th on says that the disk is full, SQLite's new pages included."""
    left = itertools.count(count, -1)

    def full(real: Any) -> Any:
        def call(*args: Any) -> Any:
            if next(left) <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        return call

    for name in ("write", "writev", "pwrite", "fsync", "fdatasync"):
        setattr(os, name, full(getattr(os, name)))

    @event.listens_for(Engine, "connect")
    def _no_more_pages(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + count // 4}")


def _cut_database(count: int) -> None:
    """From some moment on, whatever is asked of the database breaks off."""
    left = itertools.count(count, -1)

    @event.listens_for(Engine, "connect")
    def _breaks_off(connection: Any, _record: Any) -> None:
        connection.set_progress_handler(lambda: next(left) <= 0, VM_STEPS)
