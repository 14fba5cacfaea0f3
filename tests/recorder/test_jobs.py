"""Everything that runs by itself, started and stopped as `serve` does it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recorder import calls, erasure
from recorder.errors import RecordingNotFoundError
from recorder.jobs import Jobs
from recorder.ports import Service
from recorder.subject_requests import identity_check
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, stored
from tests.recorder.stored import hear, row, store


def test_p3_a_start_looks_at_everything_at_once(service: Service, clock: MovingClock) -> None:
    due, later = store(service, clock.now - timedelta(days=90)), store(service, clock.now - timedelta(days=1))
    jobs = Jobs(service)
    jobs.start()
    jobs.stop()
    assert erasure.certificate(service, due.id)["reason"] == "expired"
    assert row(service, later.id).state == "stored"


def test_p3_opened_data_keys_are_dropped_though_nobody_asks_again(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hear(service, recording, clock.now)
    assert service.vault._deks
    clock.advance(seconds=20)
    jobs = Jobs(service)
    jobs.wake("forget")
    jobs.stop()
    assert not service.vault._deks


def test_nothing_starts_after_the_stop(service: Service, clock: MovingClock) -> None:
    jobs = Jobs(service)
    jobs.start()
    jobs.stop()
    recording = store(service, clock.now - timedelta(days=90))
    jobs.wake("sweep")
    jobs.stop()
    with pytest.raises(RecordingNotFoundError):
        erasure.certificate(service, recording.id)


@pytest.mark.parametrize(
    "name",
    ["apply", "capture", "erase", "forget", "deliver", "source", "inquire", "sweep", "keys", "requests", "canary"],
)
def test_every_job_that_is_named_can_be_woken(service: Service, name: str) -> None:
    jobs = Jobs(service)
    jobs.wake(name)
    jobs.stop()


class Silent:
    """Whoever is asked says nothing until the time-out."""

    def __init__(self) -> None:
        self.over, self.asked = threading.Event(), threading.Semaphore(0)

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked.release()
        self.over.wait(30)
        raise OSError

    send = __call__


def test_an_event_is_applied_while_store_and_relay_say_nothing(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(service, clock)
    identity_check.ask(service, ask(service, clock).id, DPO, clock())
    silent, applied = Silent(), threading.Event()
    for name in ("keys", "clock", "set_backstop"):
        monkeypatch.setattr(service.vault.objects, name, silent)
    jobs = Jobs(replace(service, mailer=silent))
    monkeypatch.setattr(calls, "apply_pending", lambda *_: applied.set() or calls.Round(0, more=False))
    jobs.start()
    try:
        for _ in range(4):
            assert silent.asked.acquire(timeout=10), "mail, sweep, backstop, clear"
        applied.clear()
        jobs.wake("apply")
        assert applied.wait(5), "what a customer said waits for somebody else's store"
    finally:
        silent.over.set()
        jobs.stop()
