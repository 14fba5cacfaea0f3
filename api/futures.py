"""Futures that other threads settle, awaited in the event loop: one wake-up for all that are settled together.

`asyncio.wrap_future` wakes the loop once for each; a group commit settles dozens at a time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


async def settled(futures: Iterable[Future[T]]) -> list[T]:
    """The results in order, once all futures have one; raises what the first to fail raised.

    Giving up waiting cancels nothing: whoever works on the futures goes on.
    """
    loop = asyncio.get_running_loop()
    crossing = _crossings.setdefault(loop, _Crossing())
    waiters = [crossing.bring(future, loop) for future in futures]
    return [await waiters[0]] if len(waiters) == 1 else await asyncio.gather(*waiters)


class _Crossing:
    """Futures that were settled for one loop, and that it has not been told of yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: list[tuple[asyncio.Future[Any], Future[Any]]] = []

    def bring(self, future: Future[T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
        waiter: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(partial(self._arrive, waiter))
        return waiter

    def _arrive(self, waiter: asyncio.Future[Any], future: Future[Any]) -> None:
        with self._lock:
            first = not self._arrived
            self._arrived.append((waiter, future))
        if first:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                waiter.get_loop().call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, []
        for waiter, future in arrived:
            if waiter.done():  # given up
                continue
            error = future.exception()
            if error is None:
                waiter.set_result(future.result())
            else:
                waiter.set_exception(error)


_crossings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Crossing] = WeakKeyDictionary()
