"""One writer at a time, whatever thread or process it is in; webhooks first; nobody waits for the dead."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.writelock import WriteLock

HOLD = """
import sys
from pathlib import Path
from storage.writelock import WriteLock

with WriteLock(Path(sys.argv[1])).hold(accepting=False):
    print("held", flush=True)
    sys.stdin.readline()
print("given back", flush=True)
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    return tmp_path / "x.sqlite"


@contextmanager
def another_process(beside: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock until it gets a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(beside)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def waiting(lock: WriteLock, *, accepting: bool, then: list[str]) -> threading.Thread:
    def take() -> None:
        with lock.hold(accepting=accepting):
            then.append("webhook" if accepting else "other")

    thread = threading.Thread(target=take)
    thread.start()
    return thread


def in_the_door(beside: Path) -> bool:
    """Whether somebody who accepts is waiting, whatever process it is in."""
    with beside.with_name("x.sqlite-door").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_one_at_a_time_among_threads(beside: Path) -> None:
    locks, inside, most = [WriteLock(beside), WriteLock(beside)], [], []

    def work(number: int) -> None:
        for _ in range(200):
            with locks[number % 2].hold(accepting=number % 3 == 0):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 1
    assert len(most) == 1200


@pytest.mark.parametrize("accepting", [True, False])
def test_it_holds_among_processes(beside: Path, *, accepting: bool) -> None:
    order: list[str] = []
    with another_process(beside) as process:
        thread = waiting(WriteLock(beside), accepting=accepting, then=order)
        while accepting and not in_the_door(beside):
            pass
        assert order == []
        process.communicate("go on\n", 10)
        thread.join(10)
    assert len(order) == 1


def test_webhooks_overtake_those_who_wait_in_every_process(beside: Path) -> None:
    ours, theirs = WriteLock(beside), WriteLock(beside)
    for _ in range(20):
        order: list[str] = []
        with ours.hold(accepting=False):
            threads = [waiting(lock, accepting=False, then=order) for lock in (ours, theirs)]
            threads.append(waiting(theirs, accepting=True, then=order))
            while not in_the_door(beside):
                pass
        for thread in threads:
            thread.join(10)
        assert order == ["webhook", "other", "other"]


def test_p6_the_lock_of_a_killed_process_is_free(beside: Path) -> None:
    with another_process(beside) as process:
        os.kill(process.pid, signal.SIGKILL)
        with WriteLock(beside).hold(accepting=False):
            pass


def test_what_may_wait_lets_a_crowd_pass_that_another_has(beside: Path) -> None:
    ours, theirs = WriteLock(beside), WriteLock(beside)
    ours.let_pass(3600)  # returns at once: nobody comes
    theirs.crowd(present=True)
    began = time.monotonic()
    ours.let_pass(0.02)
    assert time.monotonic() - began >= 0.02
    thread = threading.Thread(target=ours.let_pass, args=(3600,))
    thread.start()
    theirs.crowd(present=False)
    thread.join(10)
    assert not thread.is_alive()


def test_taking_it_twice_fails_instead_of_waiting_for_itself(beside: Path) -> None:
    lock = WriteLock(beside)
    with lock.hold(accepting=False), pytest.raises(RuntimeError, match="inside"), lock.hold(accepting=True):
        pass
    with lock.hold(accepting=True):
        pass  # it was given back
