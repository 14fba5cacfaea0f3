"""Work that may wait, in transactions that webhooks overtake: SQLite has one writer, and a caller listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlalchemy import Connection

from recorder.ports import Service

MOST = 4  # things per transaction: the lock goes round every few milliseconds, and the flush of the disk still pays
PATIENCE_SECONDS = 0.05  # a transaction begins this late at most while events come in without end

T = TypeVar("T")
R = TypeVar("R")


def in_turns(service: Service, things: Iterable[T], work: Callable[[Connection, Iterator[T]], list[R]]) -> list[R]:
    """Call `work` with a transaction and the things to do in it until all are done; gives what the calls gave.

    A transaction begins when no event waits to be accepted, and takes on nothing more once one does.
    """
    waiting, results = deque(things), list[R]()
    while waiting:
        service.inbox.let_pass(PATIENCE_SECONDS)
        with service.database.write() as connection:
            results += work(connection, _a_few(service, waiting))
    return results


def _a_few(service: Service, waiting: deque[T]) -> Iterator[T]:
    for number in range(MOST):
        if not waiting or (number and service.inbox.accepting):
            return
        yield waiting.popleft()
