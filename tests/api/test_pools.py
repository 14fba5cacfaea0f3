"""The crossing between the loop and the threads: how it ends."""

from __future__ import annotations

import asyncio
import threading

from aiohttp import web

from api.pools import POOLS, pools


async def test_what_still_runs_may_ask_the_loop_to_its_end() -> None:
    """A push reads its body through the loop: one that waits for its store meanwhile asks for the next piece after."""
    app, loop, closing = web.Application(), asyncio.get_running_loop(), threading.Event()
    app[POOLS] = {}
    living = pools(app)
    await anext(living)

    def work() -> str:
        closing.wait()
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "read"), loop).result(5)

    running = app[POOLS]["push"].submit(work)
    threading.Timer(0.1, closing.set).start()
    await anext(living, None)
    assert running.result() == "read"
