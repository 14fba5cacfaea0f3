"""What runs by itself: timers that ring, and workers that are rung up at once when there is something to do.

APScheduler only keeps time. Who works is decided in the database: by claims of rows, and for the rounds that should
run once among all replicas, by a lease that is renewed while they run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from recorder import calls, capture, delivery, erasure, subject_requests, sweep
from recorder.errors import BrakeError
from recorder.ports import Service
from storage.catalogue import leases
from storage.clock import new_id

LEASE_SECONDS = 60
RENEW_SECONDS = 20
WORKERS = 4  # threads for everything but captures

log = structlog.get_logger(__name__)

Work = Callable[[Service], bool]


@dataclass(frozen=True)
class Job:
    """`work` says whether there may be more to do at once. `alone`: one replica at a time, by lease."""

    name: str
    every: int  # seconds between looks, for work nobody rang about
    work: Work
    alone: bool = False


def _apply(service: Service) -> bool:
    return calls.apply_pending(service, service.clock(), limit=200) >= 200  # noqa: PLR2004 -- a full batch


def _capture(service: Service) -> bool:
    return capture.capture_due(service, service.clock(), limit=1) > 0


def _source(service: Service) -> bool:
    capture.delete_at_sources(service, service.clock(), limit=100)
    return False


def _deliver(service: Service) -> bool:
    delivery.deliver_due(service, service.clock())
    return False


def _erase(service: Service) -> bool:
    return erasure.finish_erasures(service, service.clock()) > 0


def _sweep(service: Service) -> bool:
    sweep.sweep(service, service.clock(), unattended=True)
    return False


def _keys(service: Service) -> bool:
    service.keyring.ensure(service.clock())
    return False


def _requests(service: Service) -> bool:
    subject_requests.due(service, service.clock())
    return False


JOBS = (
    Job("apply", 5, _apply),
    Job("source", 60, _source),
    Job("deliver", 10, _deliver),
    Job("erase", 60, _erase, alone=True),
    Job("sweep", 300, _sweep, alone=True),
    Job("keys", 3600, _keys),
    Job("requests", 3600, _requests, alone=True),
)
CAPTURE = Job("capture", 5, _capture)


class Jobs:
    """Starts, rings and stops the jobs of one process. `wake` may be called from any thread, at any time."""

    def __init__(self, service: Service) -> None:
        captures = service.settings.capture.workers
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="job")
        self._captures = ThreadPoolExecutor(captures, thread_name_prefix="capture")
        self._leases = Leases(service)
        self._runners: dict[str, list[Runner]] = {
            job.name: [Runner(service, job, self._pool, self._leases)] for job in JOBS
        }
        self._runners[CAPTURE.name] = [Runner(service, CAPTURE, self._captures, self._leases) for _ in range(captures)]
        self._timer = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
        for job in (*JOBS, CAPTURE):
            self._timer.add_job(self.wake, "interval", args=[job.name], seconds=job.every, id=job.name)
        self._timer.add_job(self._leases.renew, "interval", seconds=RENEW_SECONDS, id="renew")

    def start(self) -> None:
        """Everything is looked at once, now: what a killed process left goes on."""
        self._timer.start()
        for name in self._runners:
            self.wake(name)

    def stop(self) -> None:
        """Let what is running end, and start nothing more."""
        if self._timer.running:
            self._timer.shutdown(wait=True)
        for runners in self._runners.values():
            for runner in runners:
                runner.stop()
        for pool in (self._pool, self._captures):
            pool.shutdown(wait=True)

    def wake(self, name: str) -> None:
        """Let a job look for work at once; one that is running looks once more when it is through."""
        for runner in self._runners[name]:
            runner.ring()


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
            if not self._job.alone:
                return self._job.work(self._service)
            with self._leases.taken(self._job.name) as ours:
                return ours and self._job.work(self._service)
        except BrakeError as error:
            log.warning("job.stopped", job=self._job.name, code=error.code, why=str(error))
        except Exception:  # the outermost edge of a job: it is logged, and the next ring tries again
            log.exception("job.failed", job=self._job.name)
        return False


class Leases:
    """The leases this process holds, renewed by the timer for as long as the work takes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._owner = new_id("job")
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """Whether the lease is ours while the block runs."""
        service = self._service
        with service.database.write() as connection:
            fence = leases.take(connection, name, self._owner, service.clock(), LEASE_SECONDS)
        if fence is None:
            yield False
            return
        with self._lock:
            self._held[name] = fence
        try:
            yield True
        finally:
            with self._lock:
                del self._held[name]
            with service.database.write() as connection:
                leases.release(connection, name, self._owner, fence, service.clock())

    def renew(self) -> None:
        with self._lock:
            held = dict(self._held)
        for name, fence in held.items():
            with self._service.database.write() as connection:
                leases.renew(connection, name, self._owner, fence, self._service.clock(), LEASE_SECONDS)
