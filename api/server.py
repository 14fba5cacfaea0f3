"""Serving: the pages and the API on a loop of their own thread, the jobs beside it or in a process of their own."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from api.app import create_app
from api.worker import Worker
from recorder.errors import ConfigurationError
from recorder.jobs import Jobs
from recorder.ports import Service
from recorder.service import Bell, opened
from recorder.settings import Settings, is_loopback

SHUTDOWN_SECONDS = 30.0
SWITCH_SECONDS = 0.0005  # a webhook waits at every thread it crosses for one that computes to let go; 5 ms by default


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is running and leave the rest for the next start."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as service, listening(service, Worker(service)) as port:
        for line in greeting(settings, port):
            announce(line)
        stop.wait()
        announce("stopping: finishing what is running")


def greeting(settings: Settings, port: int) -> Iterator[str]:
    yield f"listening on http://{settings.http.host}:{port}, reached as {settings.http.public_url}"
    yield f"console: {settings.http.public_url}/console/    data: {settings.data_dir}"
    if not is_loopback(settings.http.public_url) and not settings.keys.url:
        yield (
            "warning: database, recordings and keys lie in one folder: a snapshot of the whole folder stays readable. "
            "Never back up its 'keys'; see docs/operating.md"
        )


@contextmanager
def listening(service: Service, jobs: Worker | Jobs | None = None) -> Iterator[int]:
    """Serve in a thread while the block runs; gives the port. Raises `ConfigurationError` where it is taken.

    Jobs run in this process and by the service's clock, unless a worker is given.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    jobs = jobs or Jobs(service)
    if isinstance(service.wake, Bell):
        service.wake.answer = jobs.wake
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="http", daemon=True)
    thread.start()

    def on_loop(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    runner = web.AppRunner(
        create_app(service), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False
    )
    try:
        on_loop(runner.setup())
        http = service.settings.http
        try:
            on_loop(web.TCPSite(runner, http.host, http.port, backlog=1024).start())
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ConfigurationError(f"port {http.port} is in use; set RECORDER_HTTP__PORT") from exc
            raise ConfigurationError(f"cannot listen on {http.host}:{http.port}: {exc.strerror}") from exc
        jobs.start()
        yield runner.addresses[0][1]
    finally:
        on_loop(runner.cleanup())
        jobs.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
