"""One writer at a time among all threads and processes that share a SQLite file, webhooks first.

SQLite itself lets a second writer sleep and look again, a little longer each time. These locks are the kernel's:
whoever waits is woken at once, and the locks of a process that dies are free at that moment. They only put writers in
order: a program that does not know them still meets SQLite's own lock.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.002  # between two looks whether a crowd has passed


class WriteLock:
    """A mutex in which whoever accepts webhooks overtakes everybody else: it waits for one transaction at most.

    Taking it twice in one thread is a `RuntimeError`: a write inside a write would wait for itself for ever.
    """

    def __init__(self, beside: Path) -> None:
        # Each lane opens its files for itself: to the kernel, two lanes of one process are like two processes.
        self._lanes = {accepting: _Lane(beside) for accepting in (False, True)}
        self._holder: int | None = None

    @contextmanager
    def hold(self, *, accepting: bool) -> Iterator[None]:
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError("a write inside a write")
        lane = self._lanes[accepting]
        with lane.mutex:
            lane.overtake() if accepting else lane.queue()
            self._holder = me
            try:
                yield
            finally:
                self._holder = None
                lane.leave()

    def crowd(self, *, present: bool) -> None:
        """Tell every process whether webhooks are coming in faster than they can be taken in one by one."""
        self._lanes[True].crowd(present=present)

    def let_pass(self, seconds: float) -> None:
        """Wait while any process has a crowd, `seconds` at most."""
        deadline = time.monotonic() + seconds
        while self._lanes[False].crowded() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """The threads of one process that have the same right of way.

    A thread at the `desk` writes. One that accepts webhooks stands in the `door` while it waits for the desk; one that
    may wait gives the desk back when it finds somebody in the door.
    """

    def __init__(self, beside: Path) -> None:
        self.mutex = threading.Lock()
        files = [_opened(beside.with_name(f"{beside.name}-{name}")) for name in ("door", "desk", "crowd")]
        self._door, self._desk, self._crowd = files
        self.close = weakref.finalize(self, _close, *files)

    def overtake(self) -> None:
        if _taken(self._desk):
            return
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._desk, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)

    def queue(self) -> None:
        while True:
            fcntl.flock(self._desk, fcntl.LOCK_EX)
            free = _taken(self._door)
            if not free:
                fcntl.flock(self._desk, fcntl.LOCK_UN)
                fcntl.flock(self._door, fcntl.LOCK_EX)
            fcntl.flock(self._door, fcntl.LOCK_UN)
            if free:
                return

    def leave(self) -> None:
        fcntl.flock(self._desk, fcntl.LOCK_UN)

    def crowd(self, *, present: bool) -> None:
        fcntl.flock(self._crowd, fcntl.LOCK_SH if present else fcntl.LOCK_UN)

    def crowded(self) -> bool:
        free = _taken(self._crowd)
        fcntl.flock(self._crowd, fcntl.LOCK_UN)
        return not free


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(*files: int) -> None:
    for file in files:
        os.close(file)
