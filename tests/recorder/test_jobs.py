"""Everything that runs by itself, started and stopped as `serve` does it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import erasure
from recorder.errors import RecordingNotFoundError
from recorder.jobs import Jobs
from recorder.ports import Service
from tests.conftest import MovingClock
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
    "name", ["apply", "capture", "erase", "forget", "deliver", "source", "sweep", "keys", "requests", "canary"]
)
def test_every_job_that_is_named_can_be_woken(service: Service, name: str) -> None:
    jobs = Jobs(service)
    jobs.wake(name)
    jobs.stop()
