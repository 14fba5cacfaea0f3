"""How a job is run: at once when rung, never twice at a time, and alone among all replicas where it must be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from recorder.errors import BrakeError, LeaseLostError, RecorderError
from recorder.ports import Service
from storage.catalogue import leases
from storage.clock import new_id

LEASE_SECONDS = 60

log = structlog.get_logger(__name__)

Work = Callable[[Service], bool]


@dataclass(frozen=True)
class Job:
    """`work` says whether there may be more to do at once. `alone`: one replica at a time, by lease."""

    name: str
    every: int  # seconds between looks, for work nobody rang about
    work: Work
    alone: bool = False


class Runner:
    """Runs one job in a pool, never twice at a time, and never forgets that somebody rang."""

    def __init__(self, service: Service, job: Job, pool: ThreadPoolExecutor, leases_held: Leases) -> None:
        self._service = service
        self._job = job
        self._pool = pool
        self._leases = leases_held
        self._lock = threading.Lock()
        self._running = False
        self._again = False
        self._stopped = False
        self._in_the_way: type[RecorderError] | None = None  # what stopped the last run

    def ring(self) -> None:
        with self._lock:
            if self._stopped:
                return
            if self._running:
                self._again = True
                return
            self._running = True
            self._pool.submit(self._run)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True

    def _run(self) -> None:
        more = True
        while more:
            more = self._once()
            with self._lock:
                more = (more or self._again) and not self._stopped
                self._again = False
                self._running = more

    def _once(self) -> bool:
        try:
            more = self._work()
        except Exception as error:  # noqa: BLE001 -- the outermost edge of a job: it is logged, and tried again when rung
            self._note(error)
            return False
        if self._in_the_way:
            log.info("job.recovered", job=self._job.name)
            self._in_the_way = None
        return more

    def _work(self) -> bool:
        if not self._job.alone:
            return self._job.work(self._service)
        with self._leases.taken(self._job.name) as ours:
            return ours is not None and self._job.work(ours)

    def _note(self, error: Exception) -> None:
        """What may pass by itself is told once, until a run gets through; anything else each time, with a traceback."""
        if not isinstance(error, RecorderError) or not (error.retryable or isinstance(error, BrakeError)):
            log.exception("job.failed", job=self._job.name)
            self._in_the_way = None
        elif self._in_the_way is not type(error):
            log.warning("job.stopped", job=self._job.name, code=error.code, why=str(error))
            self._in_the_way = type(error)


class Leases:
    """The leases this process holds, renewed by the timer for as long as the work takes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._owner = new_id("job")
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, name: str) -> Iterator[Service | None]:
        """The service to work with while we hold the lease; None where another process holds it.

        A worker that sleeps past the end of its lease and has lost it to another changes nothing any more: every
        transaction of this service that writes checks first, and raises `LeaseLostError`.
        """
        service = self._service
        with service.database.write() as connection:
            fence = leases.take(connection, name, self._owner, service.clock(), LEASE_SECONDS)
        if fence is None:
            yield None
            return

        def fence_off(connection: Connection) -> None:
            if not leases.held(connection, name, self._owner, fence):
                raise LeaseLostError

        with self._lock:
            self._held[name] = fence
        try:
            yield replace(service, database=service.database.fenced(fence_off))
        finally:
            with self._lock:
                del self._held[name]
            with service.database.write() as connection:
                leases.release(connection, name, self._owner, fence, service.clock())

    def renew(self) -> None:
        with self._lock:
            held = dict(self._held)
        for name, fence in held.items():
            try:
                with self._service.database.write() as connection:
                    leases.renew(connection, name, self._owner, fence, self._service.clock(), LEASE_SECONDS)
            except RecorderError as error:  # the others are renewed, and for this one the next round is in time
                log.warning("lease.not_renewed", job=name, code=error.code)
            except Exception:
                log.exception("lease.not_renewed", job=name)
