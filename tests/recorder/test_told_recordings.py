"""What platforms tell us of recordings: found, late, early, never, or not to be had."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recorder import calls, sources
from recorder.calls.family import Family
from recorder.ports import Service
from storage import inbox
from storage.catalogue import recordings
from tests.conftest import MovingClock
from tests.recorder.telling import (
    an_event,
    as_stored,
    available,
    its_recordings,
    keep,
    left_at_source,
    open_tasks,
    started,
    tell,
    the_call,
    whole_story,
)


def test_a_recording_of_a_call_twilio_never_told_us_of_is_deleted_there(service: Service, clock: MovingClock) -> None:
    event = replace(available(clock.now), platform="twilio")
    event.data["by_answer"] = True
    tell(service, event)

    with service.database.read() as connection:
        assert calls.resolve(service, connection, "twilio", "pbx-81") is None
    assert left_at_source(service, clock.now) == ["unknown_call"]


def test_a_recording_that_overtook_its_call_waits_for_it(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, story[-1])

    waiting = the_call(service)
    (recording,) = its_recordings(service, waiting)
    with service.database.read() as connection:
        decision = Family(connection, waiting).decided(service, recording, clock.now)
        later = Family(connection, waiting).decided(service, recording, clock.now + timedelta(hours=2))
    assert not waiting.opened
    assert (decision.kind, later.reason) == ("wait", "unknown_call")

    tell(service, *story[:-1])
    assert the_call(service).id == waiting.id
    assert the_call(service).opened


def test_a_recording_that_was_consented_to_and_never_came_is_shown_to_people(
    service: Service, clock: MovingClock
) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    clock.advance(days=1)
    calls.apply_pending(service, clock.now)

    (recording,) = its_recordings(service, the_call(service))
    assert (recording.state, recording.reason) == ("failed", "never_available")
    assert ("capture_failed", recording.id) in open_tasks(service)


def test_p1_a_yes_as_an_offset_counts_on_the_recordings_own_time(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    offset = an_event(
        "consent.granted", begun + timedelta(seconds=55), method="verbal", offset_ms=7_500, recording_id="rec-1"
    )
    story = [one for one in whole_story(clock) if one.type != "consent.granted"]
    clock.advance(seconds=61)
    tell(service, offset, *story)

    assert keep(service, clock)[0][0] == 7_500


def test_p1_who_started_a_recording_is_what_the_least_of_its_events_says(service: Service, clock: MovingClock) -> None:
    twilio = [replace(started(clock.now), platform="twilio", clock="service", stamped_at=None)]
    causes: list[tuple[str, Any, Any]] = [("RE1", True, False), ("RE2", True, "maybe"), ("RE3", True, True)]
    for sid, first, second in causes:
        for kind, cause in (("recording.started", first), ("recording.available", second)):
            event = an_event(kind, clock.now, platform="twilio", recording_id=sid, by_answer=cause)
            twilio.append(replace(event, opens=False))
    tell(service, *twilio)

    found = its_recordings(service, the_call(service, platform="twilio"))
    assert sorted((one.by_answer, one.maybe_by_answer) for one in found) == [
        (False, False),
        (False, True),
        (True, False),
    ]


def test_p1_a_late_act_has_stored_recordings_looked_at_again(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    call = the_call(service)
    (recording,) = its_recordings(service, call)
    as_stored(service, recording)

    tell(service, an_event("consent.granted", clock.now, method="verbal"))
    assert its_recordings(service, call)[0].next_try_at is None
    tell(service, an_event("recording.paused", clock.now, recording_id="rec-1"))
    assert its_recordings(service, call)[0].next_try_at == clock.now


def test_p1_audio_that_turns_up_after_a_discard_is_deleted_at_its_source(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="discarded")

    tell(service, story[-1])

    assert left_at_source(service, clock.now) == ["gone"]
    assert its_recordings(service, the_call(service))[0].available_at is None


@pytest.mark.parametrize(("kind", "tasked"), [("recording.absent", False), ("recording.failed", True)])
def test_nothing_to_fetch_is_discarded(service: Service, clock: MovingClock, kind: str, tasked: bool) -> None:
    tell(service, started(clock.now), an_event(kind, clock.now, recording_id="rec-1", reason="x"))

    (recording,) = its_recordings(service, the_call(service))
    assert recording.state == "discarded"
    assert (("platform_failed", recording.id) in open_tasks(service)) == tasked


def test_a_recordings_ref_is_never_a_calls(service: Service) -> None:
    assert sources.recording_ref(service, "standard", "x") != inbox.ref(service.keyring, "standard", "x")


def test_p1_a_pause_of_one_recording_is_not_ended_in_another(service: Service, clock: MovingClock) -> None:
    begun, story = clock.now, whole_story(clock)
    clock.advance(seconds=61)
    tell(
        service,
        *story,
        available(clock.now, recording="rec-2", seconds=61),
        an_event("recording.paused", begun + timedelta(seconds=20), recording_id="rec-1"),
        an_event("recording.resumed", begun + timedelta(seconds=30), recording_id="rec-2"),
    )

    call = the_call(service)
    with service.database.read() as connection:
        family = Family(connection, call)
        muted = [family.decided(service, one, clock.now).mute for one in its_recordings(service, call)]
    assert sorted(muted) == [((10_000, 30_000),), ((20_000, 1 << 40),)]
