"""The crossing from the async edge to the synchronous middle: bounded thread pools.

Players and pushes have pools of their own, so that neither a hundred listeners nor a four-hour push delays a webhook's
or a page's database work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from aiohttp import web

from api.routing import ROUTE

P = ParamSpec("P")
T = TypeVar("T")

SIZES = {"default": 8, "webhook": 4, "audio": 8, "push": 4}
Pools = dict[str, ThreadPoolExecutor]

POOLS = web.AppKey("pools", Pools)


async def pools(app: web.Application) -> AsyncIterator[None]:
    """An aiohttp cleanup context: pools live as long as the application.

    The loop goes on while they end: a push that is still running reads its body through it.
    """
    app[POOLS].update(
        {name: ThreadPoolExecutor(size, thread_name_prefix=f"api-{name}") for name, size in SIZES.items()}
    )
    yield
    for pool in app[POOLS].values():
        await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)


async def run(request: web.Request, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a synchronous function in the pool of the request's route.

    A client that goes away does not stop a function that has started: what it began, it finishes.
    """
    return await asyncio.wrap_future(submit(request, function, *args, **kwargs))


def submit(request: web.Request, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """The same without waiting for it."""
    route = request.get(ROUTE)
    pool = request.app[POOLS][route.pool if route else "default"]
    return pool.submit(function, *args, **kwargs)
