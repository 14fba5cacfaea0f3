"""A recording that can be fetched after all, or from somewhere else."""

from __future__ import annotations

import pytest

from recorder import capture, faultpoints
from recorder.calls import settling
from recorder.ports import Service
from storage.catalogue import tasks
from tests.recorder.exchange import Exchange, Story, reply
from tests.recorder.test_capture import PATH, START, WHOLE, at, environment, exchange, only, told

__all__ = ["environment", "exchange"]  # fixtures

FRESH = "/r/fresh.wav"


def failed_tasks(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.subject_id for one in tasks.open_tasks(connection) if one.kind == "capture_failed"]


def run_out(exchange: Exchange) -> None:
    """The address works no more; the same recording lies at a fresh one."""
    exchange.recordings[PATH] = lambda handler: reply(handler, b"expired", 403, "text/plain")
    exchange.recordings[FRESH] = WHOLE


def test_p6_a_recording_that_comes_after_it_was_missed_is_kept(service: Service, exchange: Exchange) -> None:
    story = Story(service, START)
    exchange.recordings[PATH] = WHOLE
    story.begin()
    story.record()
    story.consent(0)
    story.end(10)
    late = 86_460
    service.keyring.ensure(at(late))
    settling.settle(service, at(late))
    assert (only(service).reason, failed_tasks(service)) == ("never_available", [only(service).id])

    story.available(exchange.origin + PATH, late + 60)
    capture.capture_due(service, at(late + 120))

    assert (only(service).state, failed_tasks(service)) == ("stored", [])


def test_p6_a_recording_that_failed_is_fetched_from_its_new_address(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    run_out(exchange)
    now = 13
    while only(service).state != "failed":
        service.keyring.ensure(at(now))
        capture.capture_due(service, at(now))
        now += 1801

    story.available(exchange.origin + FRESH, now)
    capture.capture_due(service, at(now + 1))

    assert (only(service).state, failed_tasks(service)) == ("stored", [])


@pytest.mark.parametrize("step", ["between two tries", "capture.claimed"])
def test_p6_a_new_address_is_taken_before_anything_failed_for_good(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    story = told(service, exchange)
    run_out(exchange)

    def hook(name: str) -> None:
        if name == step:
            monkeypatch.setattr(faultpoints, "hook", None)
            story.available(exchange.origin + FRESH, 13)

    monkeypatch.setattr(faultpoints, "hook", hook)
    capture.capture_due(service, at(13))
    hook("between two tries")
    capture.capture_due(service, at(60))

    assert only(service).state == "stored"
    assert exchange.gets == [PATH, FRESH]
