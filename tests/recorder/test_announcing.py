"""A recording that can be fetched after all, or from somewhere else."""

from __future__ import annotations

import pytest

from recorder import capture, faultpoints, sources
from recorder.calls import settling
from recorder.ports import Service
from storage.catalogue import tasks
from tests.recorder.captured import PATH, START, WHOLE, at, only, told
from tests.recorder.exchange import Exchange, Story, environment, exchange, reply

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


def there_after_all(service: Service, exchange: Exchange, kind: str, order: str, answer: str) -> None:
    """A platform says of one recording that there is none, and that it can be fetched."""
    exchange.recordings[PATH] = WHOLE
    story = Story(service, START)
    story.begin()
    story.record()
    story.consent(0, answer)
    says = [
        lambda: story.tell(kind, 9, recording_id=story.recording),
        lambda: story.available(exchange.origin + PATH, 9),
    ]
    for say in says if order == "none first" else reversed(says):
        say()
    story.end(10)
    capture.capture_due(service, at(13))
    sources.delete_at_sources(service, at(14))


@pytest.mark.parametrize("order", ["none first", "none last"])
@pytest.mark.parametrize("kind", ["recording.absent", "recording.failed"])
def test_p6_what_was_said_to_be_missing_and_is_there_after_all_is_kept(
    service: Service, exchange: Exchange, kind: str, order: str
) -> None:
    there_after_all(service, exchange, kind, order, "granted")

    assert only(service).state == "stored"
    with service.database.read() as connection:
        assert tasks.open_tasks(connection) == []


@pytest.mark.parametrize("order", ["none first", "none last"])
def test_p1_what_was_said_to_be_missing_and_is_there_without_a_yes_is_deleted_there(
    service: Service, exchange: Exchange, order: str
) -> None:
    there_after_all(service, exchange, "recording.failed", order, "refused")

    assert only(service).state == "discarded"
    assert (exchange.gets, exchange.deletes) == ([], [PATH])
