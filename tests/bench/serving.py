"""A server in a process of its own, which prints its port when it can be asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web


@contextmanager
def serving(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a program of ours that serves; gives its port."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def forever(app: web.Application) -> None:
    """Serve in this process; prints the port."""

    async def run() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())
