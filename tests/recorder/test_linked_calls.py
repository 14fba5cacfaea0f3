"""Calls that came out of one another: they end together, and what is said, withdrawn or paused in one of them counts in
all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recorder import buttons, calls, personal
from recorder.calls.family import Family
from recorder.ports import Service
from storage.catalogue import blanking, evidence, recordings
from storage.catalogue import calls as call_rows
from tests.conftest import MovingClock
from tests.recorder.telling import (
    AGENT,
    CUSTOMER,
    OTHER,
    SALES_LINE,
    an_event,
    as_stored,
    available,
    its_recordings,
    open_tasks,
    started,
    tell,
    the_call,
    whole_story,
)


def test_a_transferred_leg_belongs_to_its_call(service: Service, clock: MovingClock) -> None:
    put_through = an_event(
        "call.transferred", clock.now, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent", "number": None}
    )
    tell(service, started(clock.now))
    tell(service, put_through, available(clock.now, call="pbx-82"))

    assert the_call(service, "pbx-82").id == the_call(service).id
    (recording,) = its_recordings(service, the_call(service))
    own = personal.of_recording(service, the_call(service), recording, clock.now)
    assert (own["platform_call_id"], own["from"]) == ("pbx-82", CUSTOMER)


@pytest.mark.parametrize("legs_first", [True, False])
def test_p3_a_call_ends_when_its_last_leg_does_in_whatever_order_that_is_told(
    service: Service, clock: MovingClock, legs_first: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=100)
    linked = an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"})
    told = [
        an_event("call.ended", begun + timedelta(seconds=90), call="pbx-82"),
        an_event("call.ended", begun + timedelta(seconds=30)),
    ]
    tell(service, started(begun), linked)
    for event in told if legs_first else reversed(told):
        tell(service, event)

    call = the_call(service)
    assert (call.state, call.ended_at) == ("over", begun + timedelta(seconds=90))


def test_p1_what_is_withdrawn_in_a_linked_call_is_withdrawn_in_both(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *[replace(one, at=one.at) for one in whole_story(MovingClock(begun))])
    child = started(begun, call="pbx-82")
    linked = an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"})
    withdrawn = an_event("consent.withdrawn", clock.now, call="pbx-82")
    tell(service, child)
    tell(service, linked, withdrawn)

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert Family(connection, call).decided(service, recording, clock.now).reason == "withdrawn"


def test_p1_a_withdrawal_in_a_linked_call_reaches_what_is_stored_and_outlives_that_call(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *[replace(one, at=one.at) for one in whole_story(MovingClock(begun))])
    (recording,) = its_recordings(service, the_call(service))
    as_stored(service, recording)
    tell(service, started(begun, call="pbx-82"))
    child = the_call(service, "pbx-82")
    tell(
        service,
        an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("consent.withdrawn", clock.now, call="pbx-82", agent="a-17"),
        an_event("call.ended", clock.now, call="pbx-82"),
    )

    (recording,) = its_recordings(service, the_call(service))
    assert recording.next_try_at == clock.now
    with service.database.read() as connection:
        gone = call_rows.get(connection, child.id)
        assert gone is not None
        assert gone.state == "blank"
        assert Family(connection, the_call(service)).decided(service, recording, clock.now).reason == "withdrawn"
        assert [one.sealed for one in evidence.consents_of(connection, [the_call(service).id])].count(None) == 1


def test_p1_a_withdrawal_outlives_its_call_before_anything_is_recorded_of_the_one_it_went_on_in(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    yes = {"method": "dtmf", "digit": "1", "script": "inbound-da@1"}
    tell(service, started(begun), an_event("consent.granted", begun, **yes))
    linked(service, begun)
    tell(service, an_event("consent.granted", clock.now, call="pbx-82", **yes))
    first = the_call(service).id
    clock.advance(seconds=20)
    tell(service, an_event("consent.withdrawn", clock.now), an_event("call.ended", clock.now))
    clock.advance(seconds=60)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, first), "state", None) == "blank"
    tell(service, an_event("call.ended", clock.now, call="pbx-82"), available(clock.now, seconds=80, call="pbx-82"))

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert Family(connection, call).decided(service, recording, clock.now).reason == "withdrawn"


@pytest.mark.parametrize("together", [False, True])
def test_p1_a_call_named_before_its_own_start_is_no_part_of_the_one_it_came_out_of(
    service: Service, clock: MovingClock, together: bool
) -> None:
    """What its customer agrees to does not cover whoever was recorded before."""
    begun = clock.now
    tell(service, started(begun), an_event("recording.started", begun, recording_id="rec-1"))
    moved = an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"})
    called = {"direction": "outbound", "from": SALES_LINE, "to": OTHER, "customer_type": "private"}
    rest = [
        an_event("call.started", begun, call="pbx-82", **called),
        an_event("consent.granted", begun + timedelta(seconds=1), call="pbx-82", method="verbal"),
    ]
    clock.advance(seconds=61)
    if not together:
        tell(service, moved)
        assert the_call(service, "pbx-82") == the_call(service)
    tell(service, *([moved] if together else []), *rest, an_event("call.ended", clock.now), available(clock.now))
    calls.apply_pending(service, clock.now)

    call, other = the_call(service), the_call(service, "pbx-82")
    assert other.id != call.id
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert call_rows.family(connection, call.id) == {call.id, other.id}
        assert [one.call_id for one in evidence.consents_of(connection, {call.id, other.id})] == [other.id]
        assert Family(connection, call).decided(service, recording, clock.now).kind == "wait"


def linked(service: Service, begun: datetime) -> None:
    """The call is put through, and goes on under another id; so does its recording."""
    tell(service, started(begun, call="pbx-82"))
    party = {"role": "agent", "number": None}
    tell(service, an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party=party))


def test_p1_calls_stay_linked_when_the_one_between_them_goes(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    linked(service, begun)
    party = {"role": "agent", "number": None}
    tell(service, started(begun, call="pbx-83"))
    tell(service, an_event("call.transferred", begun, call="pbx-83", parent_call_id="pbx-82", party=party))
    ends = [an_event("call.ended", clock.now, call=name) for name in ("pbx-82", "pbx-83")]
    tell(service, *ends, available(clock.now, recording="rec-3", call="pbx-83"))
    between, last = the_call(service, "pbx-82"), the_call(service, "pbx-83")
    (recording,) = its_recordings(service, last)
    with service.database.write() as connection:
        blanking.blank_calls(connection, [between.id], clock.now)
        assert Family(connection, last).decided(service, recording, clock.now).kind == "keep"
        recordings.change(connection, recording.id, state="stored", next_try_at=None)

    tell(service, an_event("consent.withdrawn", clock.now))
    (recording,) = its_recordings(service, last)
    assert recording.next_try_at == clock.now
    with service.database.read() as connection:
        assert Family(connection, last).decided(service, recording, clock.now).reason == "withdrawn"


def test_p1_what_is_told_of_a_recording_under_the_id_its_call_went_on_in_counts(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    linked(service, begun)
    edges = [
        an_event(f"recording.{edge}", begun + timedelta(seconds=when), call="pbx-82", recording_id="rec-1")
        for edge, when in (("paused", 20), ("resumed", 30))
    ]
    tell(service, *edges, available(clock.now, seconds=61, call="pbx-82"))

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        decided = Family(connection, call).decided(service, recording, clock.now)
    assert decided.mute == ((20_000, 30_000),)
    assert personal.of_recording(service, call, recording, clock.now)["url"] == "https://pbx.example/rec-1"
    tell(service, an_event("consent.withdrawn", clock.now, call="pbx-82", recording_id="rec-1", offset_ms=40_000))
    with service.database.read() as connection:
        assert Family(connection, call).decided(service, recording, clock.now).reason == "withdrawn"
    assert open_tasks(service) == set()


def test_p1_an_agents_pause_holds_for_what_is_recorded_of_a_linked_call(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    yes = an_event("consent.granted", begun, method="dtmf", digit="1", script="inbound-da@1")
    tell(service, started(begun), yes, an_event("recording.started", begun, recording_id="rec-1"))
    linked(service, begun)
    clock.advance(seconds=20)
    buttons.pause(service, "pbx-82", actor=AGENT, now=clock.now)
    clock.advance(seconds=20)
    buttons.resume(service, "pbx-82", actor=AGENT, now=clock.now)
    clock.advance(seconds=21)
    tell(service, an_event("call.ended", clock.now), available(clock.now, seconds=61))

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert Family(connection, call).decided(service, recording, clock.now).mute == ((18_000, 42_000),)
    child = the_call(service, "pbx-82")
    with service.database.write() as connection:  # and outlives the call it was pressed in
        call_rows.change(connection, child.id, state="over")
        blanking.blank_calls(connection, [child.id], clock.now)
        assert Family(connection, call).decided(service, recording, clock.now).mute == ((18_000, 42_000),)
