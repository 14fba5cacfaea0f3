"""Links between calls that are told late: of calls that are gone by then, and of legs that turn out to be calls."""

from __future__ import annotations

import pytest

from recorder import calls, facts
from recorder.ports import Service
from storage.catalogue import recordings
from tests.conftest import MovingClock
from tests.recorder.telling import an_event, available, its_recordings, keep, started, tell, the_call, whole_story


@pytest.mark.parametrize("word", ["refused", "withdrawn", "unanswered"])
@pytest.mark.parametrize("teller", ["gone", "there", "leg"])
def test_p1_a_no_said_in_a_call_that_is_gone_reaches_the_one_it_turns_out_to_be_linked_to(
    service: Service, clock: MovingClock, word: str, teller: str
) -> None:
    """The event that links them comes in under the id of either, or is the start of what had been a leg."""
    begun = clock.now
    party = {"role": "agent", "number": None}
    if teller == "leg":
        tell(service, started(begun, call="pbx-82"))
        tell(service, an_event("call.transferred", begun, parent_call_id="pbx-82", party=party))
    else:
        tell(service, started(begun, call="pbx-82"))
    clock.advance(seconds=61)
    tell(service, an_event(f"consent.{word}", clock.now, call="pbx-82"))
    tell(service, an_event("call.ended", clock.now, call="pbx-82"))
    with service.database.read() as connection:
        assert calls.resolve(service, connection, "standard", "pbx-82") is None
    tell(service, *whole_story(MovingClock(begun)))
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored", next_try_at=None)
    call, parent = {"gone": ("pbx-82", "pbx-81"), "there": ("pbx-81", "pbx-82"), "leg": ("pbx-81", "pbx-81")}[teller]
    tell(service, an_event("party.joined", begun, call=call, parent_call_id=parent, party=party))

    (recording,) = its_recordings(service, the_call(service))
    assert teller == "leg" or recording.next_try_at == clock.now
    with service.database.read() as connection:
        assert facts.decided(service, connection, the_call(service), recording, clock.now).reason == "withdrawn"
        assert calls.resolve(service, connection, "standard", "pbx-82") is None


def test_p1_a_no_of_a_call_that_is_gone_reaches_one_that_nobody_has_told_us_of_yet(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, started(begun, call="pbx-82"), an_event("consent.refused", clock.now, call="pbx-82"))
    tell(service, an_event("call.ended", clock.now, call="pbx-82"))
    tell(
        service,
        an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        *whole_story(MovingClock(begun)),
    )

    (recording,) = its_recordings(service, the_call(service))
    with service.database.read() as connection:
        assert facts.decided(service, connection, the_call(service), recording, clock.now).reason == "withdrawn"


def test_p1_a_new_yes_after_a_call_with_a_no_was_gone_counts(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    tell(service, started(begun, call="pbx-82"), an_event("consent.refused", begun, call="pbx-82"))
    tell(service, an_event("call.ended", begun, call="pbx-82"))
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun))[:-2])
    tell(service, an_event("party.joined", clock.now, parent_call_id="pbx-82", party={"role": "agent"}))
    tell(service, an_event("call.ended", clock.now), available(clock.now, seconds=61))

    assert keep(service, clock) == ((10_000, 1 << 40),)


def test_p3_a_call_nobody_said_no_in_leaves_nothing_to_those_it_turns_out_to_be_linked_to(
    service: Service, clock: MovingClock
) -> None:
    tell(service, started(clock.now, call="pbx-82"), an_event("call.ended", clock.now, call="pbx-82"))
    clock.advance(days=1)
    calls.apply_pending(service, clock.now)
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    tell(service, an_event("party.joined", clock.now, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}))

    assert keep(service, clock) == ((10_000, 1 << 40),)


def test_p1_a_link_told_by_the_start_of_a_call_reaches_what_is_stored(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored", next_try_at=None)
    tell(service, an_event("consent.withdrawn", clock.now, call="pbx-82"))
    tell(service, started(begun, call="pbx-82", parent_call_id="pbx-81"))

    assert its_recordings(service, the_call(service))[0].next_try_at == clock.now
