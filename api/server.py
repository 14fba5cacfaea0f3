"""Serving: pages and API on an event loop in a thread of its own, jobs beside it or in a process of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp import web

from api import heap
from api.app import create_app
from api.connections import Connection, Room
from api.routing import DRAINING, UNDER_WAY
from api.worker import Worker
from recorder import checkup
from recorder.checkup import Finding
from recorder.errors import ConfigurationError, UnsafeError
from recorder.jobs import Jobs
from recorder.ports import Service
from recorder.service import Bell, opened
from recorder.settings import Settings, is_loopback

T = TypeVar("T")

SHUTDOWN_SECONDS = 30.0  # for requests under way to end, once no more are taken; as long as a body may take
CLOSE_SECONDS = 1.0  # for what is still going on then: players
HEAD_SECONDS = 75.0  # for the whole head of a connection's next request; load balancers keep idle ones for 60
READ_SECONDS = 600.0  # a client that takes nothing of an answer for so long is dropped, as a paused player is
SWITCH_SECONDS = 0.0005  # at each change of threads a webhook waits for a computing one to let go; 5 ms by default


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is running and leave the rest for the next start.

    A second signal ends the process at once, as a power cut would: even then nothing that was answered is lost.
    """
    stop = stop_asked()
    with opened(settings) as service:
        doubts = sound(checkup.examine_start(service, service.clock()))
        with listening(service, Worker(service)) as port:
            heap.settle()
            for line in (*greeting(settings, port), *told(doubts, public=not is_loopback(settings.http.public_url))):
                announce(line)
            stop.wait()
            announce("stopping: finishing what is running; once more to stop at once")


def stop_asked() -> threading.Event:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process there and then.

    A thread reads what the handler in C wrote to a socket. Python's own handlers only run when the main thread next
    comes round to them, and a main thread that is about to wait for a lock waits for it first.
    """
    asked = threading.Event()
    heard, rung = socket.socketpair()
    rung.setblocking(False)

    def listen() -> None:
        heard.recv(1)
        asked.set()
        os._exit(128 + heard.recv(1)[0])

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(rung.detach())
    threading.Thread(target=listen, name="signals", daemon=True).start()
    return asked


def sound(findings: Sequence[Finding]) -> list[Finding]:
    """The warnings and faults that do not forbid a start. Raises `UnsafeError` naming everything that does."""
    blocking = [f"{one.text} [{one.code}]" for one in findings if one.blocks]
    if blocking:
        raise UnsafeError("not started, because a promise would be broken: " + "; ".join(blocking))
    return [one for one in findings if one.level != "ok"]


def told(doubts: Sequence[Finding], *, public: bool) -> Iterator[str]:
    """The lines to announce: faults always, warnings only where others depend on us."""
    for one in doubts:
        if public or one.level == "fault":
            yield f"{one.level}: {one.text}: {one.advice} [{one.code}]"


def greeting(settings: Settings, port: int) -> Iterator[str]:
    yield f"listening on http://{settings.http.host}:{port}, reached as {settings.http.public_url}"
    yield f"console: {settings.http.public_url}/console/    data: {settings.data_dir}"


def room() -> int:
    """How many connections there may be: each may need a second file, the one that it is sent."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return files // 2 if files != resource.RLIM_INFINITY else sys.maxsize


@contextmanager
def listening(service: Service, jobs: Worker | Jobs | None = None) -> Iterator[int]:
    """Serve in a thread while the block runs; gives the port. Raises `ConfigurationError` where it cannot be had.

    Jobs run in this process and by the service's clock, unless a worker is given.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    jobs = jobs or Jobs(service)
    if isinstance(service.wake, Bell):
        service.wake.answer = jobs.wake
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="http", daemon=True)
    thread.start()

    def on_loop(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    app = create_app(service)
    runner = web.AppRunner(app, shutdown_timeout=CLOSE_SECONDS)
    http, most = service.settings.http, room()
    try:
        on_loop(runner.setup())
        connection = partial(
            Connection,
            app,
            cast("web.Server", runner.server),
            Room(most),
            loop=loop,
            access_log=None,
            keepalive_timeout=HEAD_SECONDS,
        )
        try:
            # asyncio accepts this many before the first of them is asked whether there is room for it.
            backlog = max(1, min(1024, most // 8))
            door = on_loop(loop.create_server(connection, http.host, http.port, backlog=backlog))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ConfigurationError(f"port {http.port} is in use; set RECORDER_HTTP__PORT") from exc
            raise ConfigurationError(f"cannot listen on {http.host}:{http.port}: {exc.strerror}") from exc
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
            for listener in door.sockets:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(READ_SECONDS * 1000))
        try:
            jobs.start()
            yield door.sockets[0].getsockname()[1]
            app[DRAINING].set()  # readiness is refused from here on, work is not
            time.sleep(http.drain_s)
        finally:
            loop.call_soon_threadsafe(door.close)
        on_loop(_let_finish(app))
    finally:
        on_loop(runner.cleanup())
        jobs.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _let_finish(app: web.Application) -> None:
    """Return when nobody waits for an answer any more, or after `SHUTDOWN_SECONDS`.

    Once told to shut down, aiohttp would drop the rest of every body that is still coming in.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(SHUTDOWN_SECONDS):
            while app[UNDER_WAY]:
                await asyncio.sleep(0.02)
