"""Work that may wait, in transactions so short that a webhook which meets one hardly notices."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlalchemy import Connection

from recorder.ports import Service

TURN_SECONDS = 0.001  # a transaction takes on nothing more after so long

T = TypeVar("T")
R = TypeVar("R")


def in_turns(service: Service, things: Iterable[T], work: Callable[[Connection, Iterator[T]], list[R]]) -> list[R]:
    """Call `work` with a transaction and the things to do in it until all are done; gives what the calls gave.

    Only the last transaction waits for the disk, and makes all of them last: each must be one that would be done
    again if it were lost, and nothing may be told of any before this returns.
    """
    waiting, results = deque(things), list[R]()
    while waiting:
        with service.database.write(lasting=len(waiting) == 1) as connection:
            results += work(connection, _a_few(waiting))
    return results


def _a_few(waiting: deque[T]) -> Iterator[T]:
    """One at least; the last comes alone, in the transaction that lasts."""
    enough = time.perf_counter() + TURN_SECONDS
    yield waiting.popleft()
    while len(waiting) > 1 and time.perf_counter() < enough:
        yield waiting.popleft()
