"""One life of the process, in a forked child: take in what is told, do every job, and perhaps die of a fault."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import structlog

from recorder import calls, capture, jobs, sweep
from recorder.calls import intake
from recorder.errors import RecorderError
from recorder.events import Event
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from tests.faults.acts import Act
from tests.faults.faults import Fault, inside

LONGEST_SECONDS = 60
WRITE = os.write  # our notes are written even where the service's disk is full
QUIET = structlog.make_filtering_bound_logger(50)


def forked(work: Callable[[], None]) -> int:
    """Run something in a forked child; gives its wait status."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(LONGEST_SECONDS)
        try:
            work()
        except BaseException:  # noqa: BLE001 -- the child's own outermost edge
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def live(
    environment: dict[str, str],
    now: datetime,
    events: list[Event],
    chance: Random,
    *,
    broken: Fault | None,
    notes: Path,
    acts: Sequence[Act] = (),
    person: bool = False,
) -> None:
    """Take in events, acknowledging each in `notes` once it is durable; then do every job twice, in any order.

    `acts` are tried after each round, and acknowledged like events. `person`: the sweep is run by hand too.
    """
    structlog.configure(wrapper_class=QUIET)
    inside(broken, notes / "reached")
    acknowledge = os.open(notes / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with opened(load(environment), clock=lambda: now) as service:
            for one in events:
                _take_in(service, one, now)
                WRITE(acknowledge, f"{one.key}\n".encode())
            for _ in range(2):
                _do_everything(service, now, chance)
                acts = [act for act in acts if not _done(service, act, now, acknowledge)]
            if person:
                sweep.sweep(service, now, unattended=False)
    except Exception:
        if broken is None:
            raise


def _done(service: Service, act: Act, now: datetime, acknowledge: int) -> bool:
    done = act.done(service, now)
    if done:
        WRITE(acknowledge, f"{act}\n".encode())
    return done


def _take_in(service: Service, one: Event, now: datetime) -> None:
    intake.submit(service, one, now).result(LONGEST_SECONDS)


def _do_everything(service: Service, now: datetime, chance: Random) -> None:
    calls_first = [job for job in jobs.JOBS if job.name not in {"apply", "canary"}]
    chance.shuffle(calls_first)
    for work in (_apply, *(job.work for job in calls_first), _capture):
        try:
            work(service)
        except Exception as error:  # noqa: BLE001 -- as the runner of jobs does: logged there, tried again
            if not isinstance(error, RecorderError | OSError) and "sqlite" not in type(error).__module__:
                traceback.print_exc()


def _apply(service: Service) -> bool:
    return calls.apply_pending(service, service.clock()) > 0


def _capture(service: Service) -> bool:
    return capture.capture_due(service, service.clock()) > 0
