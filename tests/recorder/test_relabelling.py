"""What becomes known of a call before, while and after its recording is captured or cut narrower: it is found by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from recorder import calls, capture, faultpoints, finding
from recorder.calls import intake
from recorder.events import Event
from recorder.finding import Query
from recorder.ports import Service
from tests.recorder.captured import DPO, START, at, only, told
from tests.recorder.exchange import Exchange, Story, environment, exchange

__all__ = ["environment", "exchange"]  # fixtures

CASE = "c-9"


def webhook(service: Service, story: Story, seconds: float) -> None:
    """The case is told: in the inbox, and no further."""
    moment = START + timedelta(seconds=seconds)
    event = Event("call.updated", "standard", story.call_id, "k1", at=moment, stamped_at=moment, data={"case": CASE})
    intake.submit(service, event, moment).result()


def found(service: Service, seconds: float) -> list[str]:
    page = finding.search(service, Query(case=CASE), actor=DPO, now=at(seconds))
    return [one.recording.id for one in page.items]


def jobs(service: Service, first: float, last: float = 4000) -> None:
    for seconds in range(round(first), round(last), 600):
        calls.apply_pending(service, at(seconds))
        capture.capture_due(service, at(seconds))


def once_at(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Do something the first time that a step is reached, or at once."""
    if step == "before":
        act()
        return
    waiting = [act]

    def hook(name: str) -> None:
        if name == step and waiting:
            waiting.pop()()

    monkeypatch.setattr(faultpoints, "hook", hook)


def told_it(service: Service, story: Story, seconds: float, *, applied: bool) -> Callable[[], object]:
    def tell() -> None:
        webhook(service, story, seconds)
        if applied:
            calls.apply_pending(service, at(seconds))

    return tell


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("step", ["before", "capture.claimed", "capture.produced", "capture.stored"])
def test_p6_a_case_told_around_the_capture_is_found(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, step: str, applied: bool
) -> None:
    story = told(service, exchange)
    once_at(monkeypatch, step, told_it(service, story, 13, applied=applied))

    assert capture.capture_due(service, at(13)) == 1
    jobs(service, 20)

    assert found(service, 4000) == [only(service).id]


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("step", ["before", "capture.opened", "capture.produced"])
def test_p6_a_case_told_around_a_cut_is_found(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, step: str, applied: bool
) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    story.tell("recording.paused", 2, recording_id=story.recording)
    story.tell("recording.resumed", 3, recording_id=story.recording)
    once_at(monkeypatch, step, told_it(service, story, 20, applied=applied))

    capture.capture_due(service, at(20))
    jobs(service, 30)

    assert found(service, 4000) == [only(service).id]
