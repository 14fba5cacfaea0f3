"""Lines of TCP between the parts of a house: they balance, are cut, and fall silent when told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

Place = int | Path  # a port on this machine, or a socket
BLOCK = 65536
CHECK_SECONDS = 0.2
PATIENCE_SECONDS = 1.0  # with a replica that is asked how it is


class Line:
    """Takes connections and passes them on to wherever `towards` says at that moment; None: to nobody."""

    def __init__(self, towards: Callable[[], Place | None]) -> None:
        self._towards = towards
        self._flows = asyncio.Event()
        self._flows.set()
        self._cut = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def cut(self) -> None:
        """Every connection breaks, and none is taken any more."""
        self._cut = True
        for end in list(self._ends):
            end.transport.abort()

    async def silence(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._flows.clear()

    async def heal(self) -> None:
        self._cut = False
        self._flows.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self._ends.add(writer)
        try:
            place = None if self._cut else self._towards()
            if place is not None:
                await self._pass(reader, writer, place)
        except OSError:
            pass  # whoever asks again is given another place
        finally:
            self._ends.discard(writer)
            self._passing.discard(task)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place) -> None:
        far_reader, far_writer = await connect(place)
        self._ends.add(far_writer)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._ends.discard(far_writer)
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(BLOCK):
            await self._flows.wait()
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class Balancer(Line):
    """Asks every replica how it is, several times a second, and passes connections on to those that say `ready`."""

    def __init__(self, replicas: list[int]) -> None:
        super().__init__(self._next)
        self._replicas = replicas
        self._turn = count()
        self.ready: set[int] = set()

    async def open(self) -> None:
        await super().open()
        self._checks = [asyncio.create_task(self._check(port)) for port in self._replicas]

    async def close(self) -> None:
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        await super().close()

    def _next(self) -> int | None:
        ready = sorted(self.ready)
        return ready[next(self._turn) % len(ready)] if ready else None

    async def _check(self, port: int) -> None:
        while True:
            if await _is_ready(port):
                self.ready.add(port)
            else:
                self.ready.discard(port)
            await asyncio.sleep(CHECK_SECONDS)


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(place, Path):
        return await asyncio.open_unix_connection(str(place))
    return await asyncio.open_connection("127.0.0.1", place)


async def _is_ready(port: int) -> bool:
    writer = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await connect(port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


class Exchange:
    """The thread in which all lines run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lines: list[Line] = []

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def add(self, line: Line) -> Line:
        self.do(line.open())
        self._lines.append(line)
        return line


@contextmanager
def exchange() -> Iterator[Exchange]:
    running = Exchange()
    thread = threading.Thread(target=running._loop.run_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        for line in running._lines:
            with suppress(Exception):
                running.do(line.close())
        running._loop.call_soon_threadsafe(running._loop.stop)
        thread.join()
        running._loop.close()
