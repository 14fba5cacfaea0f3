"""The agent's buttons: a yes, a pause, a withdrawal, by our own clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from recorder import buttons
from recorder.calls import intake
from recorder.calls.family import Family
from recorder.errors import CallNotFoundError
from recorder.ports import Service
from storage.catalogue import evidence
from tests.conftest import MovingClock
from tests.recorder.telling import AGENT, its_recordings, started, tell, the_call, whole_story


@pytest.mark.parametrize(
    ("press", "word"), [(buttons.consent, "granted"), (buttons.stop, "withdrawn")], ids=["consent", "stop"]
)
def test_an_agents_button_is_an_answer_by_our_clock(
    service: Service, clock: MovingClock, press: Callable[..., str], word: str
) -> None:
    tell(service, started(clock.now))
    call_id = press(service, "pbx-81", actor=AGENT, now=clock.now)

    with service.database.read() as connection:
        (said,) = evidence.consents_of(connection, [call_id])
    assert (said.decision, said.clock, said.at) == (word, "service", clock.now)
    assert call_id == the_call(service).id


def test_a_button_pressed_before_its_call_is_applied_finds_it(service: Service, clock: MovingClock) -> None:
    event = started(clock.now)
    intake.submit(service, event, clock.now).result(10)

    assert buttons.stop(service, "pbx-81", actor=AGENT, now=clock.now) == the_call(service).id


def test_an_agents_pause_holds_for_every_recording_of_the_call(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    begun = clock.now
    tell(service, story[0])
    buttons.pause(service, "pbx-81", actor=AGENT, now=begun + timedelta(seconds=20))
    buttons.resume(service, "pbx-81", actor=AGENT, now=begun + timedelta(seconds=30))
    clock.advance(seconds=61)
    tell(service, *story[1:])

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert Family(connection, call).decided(service, recording, clock.now).mute == ((18_000, 32_000),)


def test_a_button_of_an_unknown_call_is_refused(service: Service, clock: MovingClock) -> None:
    with pytest.raises(CallNotFoundError):
        buttons.stop(service, "pbx-81", actor=AGENT, now=clock.now)
