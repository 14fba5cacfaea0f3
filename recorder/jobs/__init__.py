"""What runs by itself: timers that ring, and workers that are rung up at once when there is something to do.

APScheduler only keeps time. Who works is decided in the database: by claims of rows, and for the rounds that should
run once among all replicas, by a lease that is renewed while they run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler

from recorder import (
    calls,
    canary,
    capture,
    delivery,
    erasure,
    restoring,
    sources,
    subject_requests,
    subscriptions,
    sweep,
)
from recorder.calls import inquiring
from recorder.holds import sheltering
from recorder.jobs.runners import Job, Leases, Runner
from recorder.ports import Service

RENEW_SECONDS = 20
APART_SECONDS = 0.1  # between two looks at calls that other workers are at


def _apply(service: Service) -> bool:
    applied, more = calls.apply_pending(service, service.clock())
    if more and not applied:
        time.sleep(APART_SECONDS)  # a worker that is paused may hold its call for as long as it likes
    return more


def _capture(service: Service) -> bool:
    return capture.capture_due(service, service.clock(), limit=1) > 0


def _leftovers(service: Service) -> bool:
    return capture.erase_leftovers(service)


def _source(service: Service) -> bool:
    sources.delete_at_sources(service, service.clock(), limit=100)
    return False


def _inquire(service: Service) -> bool:
    return inquiring.ask_platforms(service, service.clock(), limit=100) >= 100  # noqa: PLR2004 -- a full batch


def _deliver(service: Service) -> bool:
    return delivery.deliver_next(service, service.clock(), delivery.MAIL) is not None


def _codes(service: Service) -> bool:
    """Apart from the mail: somebody is waiting for a code, and must not wait for a slow mail relay."""
    return delivery.deliver_next(service, service.clock(), delivery.CODES) is not None


def _tell(service: Service) -> bool:
    return subscriptions.deliver(service)


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


def _clear(service: Service) -> bool:
    restoring.erase_again(service, service.clock())
    restoring.clear_past_days(service, service.clock())
    return False


def _forget(service: Service) -> bool:
    service.vault.prune(service.clock())
    service.keyring.prune(service.clock())
    return False


def _canary(service: Service) -> bool:
    canary.run_due(service, service.clock())
    return False


def _shelter(service: Service) -> bool:
    return sheltering.shelter(service, service.clock()) > 0


def _backstop(service: Service) -> bool:
    sheltering.set_backstop(service)
    return False


CAPTURE = Job("capture", 5, _capture)
OWN = (  # what every process does for itself: it is about what the process holds in memory
    Job("forget", 10, _forget),
    Job("keys", 3600, _keys),
)
JOBS = (
    *OWN,
    CAPTURE,
    Job("apply", 5, _apply),
    Job("source", 60, _source),
    Job("inquire", 60, _inquire),
    Job("deliver", 10, _deliver),
    Job("codes", 10, _codes),
    Job("tell", 5, _tell),
    Job("leftovers", 30, _leftovers, alone=True),
    Job("erase", 60, _erase, alone=True),
    Job("sweep", 300, _sweep, alone=True),
    Job("shelter", 300, _shelter, alone=True),
    Job("backstop", 24 * 3600, _backstop, alone=True),
    Job("requests", 3600, _requests, alone=True),
    Job("canary", 60, _canary, alone=True),
    Job("clear", 6 * 3600, _clear, alone=True),
)


class Jobs:
    """Starts, rings and stops the jobs of one process. `wake` may be called from any thread, at any time."""

    def __init__(self, service: Service, jobs: Sequence[Job] = JOBS) -> None:
        captures = service.settings.capture.workers
        # A thread for each: a job that waits for an outside party that is away must not hold up the others.
        self._pool = ThreadPoolExecutor(len(jobs), thread_name_prefix="job")
        self._captures = ThreadPoolExecutor(captures, thread_name_prefix="capture")
        self._leases = Leases(service)
        self._runners: dict[str, list[Runner]] = {}
        self._timer = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
        for job in jobs:
            pool, count = (self._captures, captures) if job is CAPTURE else (self._pool, 1)
            self._runners[job.name] = [Runner(service, job, pool, self._leases) for _ in range(count)]
            self._timer.add_job(self.wake, "interval", args=[job.name], seconds=job.every, id=job.name)
        self._timer.add_job(self._leases.renew, "interval", seconds=RENEW_SECONDS, id="renew")

    def start(self) -> None:
        """Run every job at once: they go on with what a killed process left."""
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
