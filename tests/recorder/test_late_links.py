"""Links between calls that are told late: of calls that are gone by then, and of legs that turn out to be calls."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import calls, capture, personal
from recorder.calls.family import Family
from recorder.ports import Service
from storage import columns, inbox
from storage.catalogue import calls as call_rows
from storage.catalogue import recordings
from storage.catalogue.calls import Leg
from tests.conftest import MovingClock
from tests.recorder.stored import found_by_phone, store, store_call
from tests.recorder.telling import (
    CALLED,
    CUSTOMER,
    LINE,
    OTHER,
    an_event,
    as_stored,
    available,
    its_recordings,
    keep,
    started,
    tell,
    the_call,
    whole_story,
)

NAMED = {"call": "pbx-82", "parent_call_id": "pbx-81", "party": {"role": "agent", "number": None}}
YES = {"method": "dtmf", "digit": "1", "script": "inbound-da@1"}


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
    as_stored(service, recording)
    call, parent = {"gone": ("pbx-82", "pbx-81"), "there": ("pbx-81", "pbx-82"), "leg": ("pbx-81", "pbx-81")}[teller]
    tell(service, an_event("party.joined", begun, call=call, parent_call_id=parent, party=party))

    (recording,) = its_recordings(service, the_call(service))
    assert teller == "leg" or recording.next_try_at == clock.now
    with service.database.read() as connection:
        assert Family(connection, the_call(service)).decided(service, recording, clock.now).reason == "withdrawn"
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
        assert Family(connection, the_call(service)).decided(service, recording, clock.now).reason == "withdrawn"


def test_p1_a_pause_reaches_the_call_it_turns_out_to_be_linked_to_within_a_day(
    service: Service, clock: MovingClock
) -> None:
    """A call without a no is there for so long, recorded or not. Later, when it was paused is known no more."""
    begun = clock.now
    tell(service, started(begun, call="pbx-82"))
    for edge, when in (("paused", 20), ("resumed", 30)):
        tell(service, an_event(f"recording.{edge}", begun + timedelta(seconds=when), call="pbx-82"))
    clock.advance(seconds=61)
    tell(service, an_event("call.ended", clock.now, call="pbx-82"), *whole_story(MovingClock(begun)))
    clock.advance(hours=23, minutes=59)
    tell(service, an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}))

    (recording,) = its_recordings(service, the_call(service))
    with service.database.read() as connection:
        decided = Family(connection, the_call(service)).decided(service, recording, clock.now)
    assert decided.mute == ((20_000, 30_000),)


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
    as_stored(service, recording)
    tell(service, an_event("consent.withdrawn", clock.now, call="pbx-82"))
    tell(service, started(begun, call="pbx-82", parent_call_id="pbx-81"))

    assert its_recordings(service, the_call(service))[0].next_try_at == clock.now


def test_p1_a_yes_said_under_an_id_that_turns_out_to_be_another_call_is_that_calls(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    tell(service, started(begun), an_event("recording.started", begun, recording_id="rec-1"))
    tell(service, an_event("call.transferred", begun, **NAMED))
    tell(service, an_event("consent.granted", begun, call="pbx-82", agent="a-17", **YES))
    assert the_call(service, "pbx-82") == the_call(service)
    tell(service, an_event("call.started", begun, call="pbx-82", **CALLED))
    clock.advance(seconds=61)
    tell(service, an_event("call.ended", clock.now), available(clock.now, seconds=61))
    tell(service, an_event("call.ended", clock.now, call="pbx-82"))
    tell(service, available(clock.now, seconds=61, call="pbx-82", recording="rec-2"))

    assert keep(service, clock) == ()
    assert keep(service, clock, "pbx-82") == ((0, 1 << 40),)


@pytest.mark.parametrize("state", ["announced", "capturing", "failed", "stored"])
def test_p1_what_is_recorded_under_an_id_that_turns_out_to_be_another_call_is_that_calls(
    service: Service, clock: MovingClock, state: str
) -> None:
    """Nobody it is with has agreed to it, whatever the other call's customer said; and what was paused stays so."""
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, started(begun), an_event("consent.granted", begun, **YES))
    tell(service, an_event("call.transferred", begun, **NAMED))
    for edge, when in (("paused", 20), ("resumed", 30)):
        at = begun + timedelta(seconds=when)
        tell(service, an_event(f"recording.{edge}", at, call="pbx-82", recording_id="rec-2"))
    tell(service, available(clock.now, seconds=61, call="pbx-82", recording="rec-2"))
    tell(service, an_event("call.ended", clock.now))
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state=state, next_try_at=None, lease="other", lease_until=clock.now)
    tell(service, an_event("call.started", begun, call="pbx-82", **CALLED))

    assert its_recordings(service, the_call(service)) == []
    (moved,) = its_recordings(service, the_call(service, "pbx-82"))
    assert moved.state == ("announced" if state == "capturing" else state)
    assert (moved.lease is None) == (state == "capturing")
    assert keep(service, clock, "pbx-82") == ()
    other = the_call(service, "pbx-82")
    assert personal.of_recording(service, other, moved, clock.now)["url"] == "https://pbx.example/rec-1"
    tell(service, an_event("consent.granted", begun, call="pbx-82", **YES))
    with service.database.read() as connection:
        assert Family(connection, other).decided(service, moved, clock.now + timedelta(1)).mute == ((20_000, 30_000),)


def test_p1_what_was_kept_by_a_yes_that_turns_out_to_be_another_calls_is_looked_at_again(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *[one for one in whole_story(MovingClock(begun)) if one.type != "consent.granted"])
    tell(
        service, an_event("call.transferred", begun, **NAMED), an_event("consent.granted", begun, call="pbx-82", **YES)
    )
    (recording,) = its_recordings(service, the_call(service))
    assert keep(service, clock) != ()
    as_stored(service, recording)
    tell(service, an_event("call.started", begun, call="pbx-82", **CALLED))

    (recording,) = its_recordings(service, the_call(service))
    assert recording.next_try_at == clock.now
    assert keep(service, clock) == ()


def test_p1_the_numbers_of_a_leg_are_not_its_calls(service: Service, clock: MovingClock) -> None:
    """By them it is known whose yes counts for whom."""
    tell(service, started(clock.now))
    tell(service, an_event("call.transferred", clock.now, **NAMED, **CALLED, agent="a-18", queue="sales"))

    call = the_call(service, "pbx-82")
    own = personal.of_call(service, call, clock.now)
    assert (own["from"], own["to"], own["agent"]) == (CUSTOMER, LINE, "a-18")
    assert (call.direction, call.segment, call.queue) == ("inbound", "private_inbound", "sales")


def test_p4_a_stored_recording_that_turns_out_to_be_another_calls_is_found_by_that_calls_number(
    service: Service, clock: MovingClock
) -> None:
    call = store_call(service, clock.now)
    recording = store(service, clock.now, call=call)
    assert recording.dek is not None
    dek = service.vault.unwrap_dek(recording.id, recording.key_id or "", recording.dek, clock.now)
    sealed = personal.seal(dek, "recordings", recording.id, {"phone": CUSTOMER, "platform_call_id": "pbx-82"})
    refs = {one: inbox.ref(service.keyring, "standard", one) for one in ("pbx-81", "pbx-82")}
    with service.database.write() as connection:
        recordings.change(connection, recording.id, sealed=sealed)
        call_rows.change(connection, call.id, ref=refs["pbx-81"])
        call_rows.add_leg(connection, Leg(id="leg_1", call_id=call.id, ref=refs["pbx-82"]))
    assert found_by_phone(service, clock.now) == [recording.id]

    tell(service, an_event("call.started", clock.now, call="pbx-82", **CALLED))
    capture.capture_due(service, clock.now)

    assert found_by_phone(service, clock.now) == []
    key = service.keyring.key(recording.key_id or "", clock.now)
    with service.database.read() as connection:
        (found,) = recordings.find_marked(connection, [columns.mark(key, "phone", OTHER)])
    assert (found.id, found.call_id) == (recording.id, the_call(service, "pbx-82").id)
