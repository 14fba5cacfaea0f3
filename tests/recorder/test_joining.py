"""Whoever joins a call, by themselves or out of a linked one: whom the yes that was given speaks for, and for whom it
does not.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import calls, capture, erasure, finding
from recorder.actors import Actor
from recorder.calls.family import Family
from recorder.consent.spans import UNTIL_END
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from storage.catalogue import recordings
from tests.conftest import MovingClock
from tests.recorder.telling import (
    CALLED,
    CUSTOMER,
    OTHER,
    SALES_LINE,
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


@pytest.mark.parametrize(
    ("party", "first_stop"),
    [
        ({"role": "outside", "number": "+4511111111"}, 20_000),
        ({"role": "outside", "number": CUSTOMER}, 20_000),
        ({"role": "customer", "number": "+4511111111"}, 20_000),
        ({"role": "customer", "number": CUSTOMER}, None),
        ({"role": "agent", "number": "+4511111111"}, None),
    ],
)
def test_p1_only_whom_the_yes_does_not_speak_for_ends_coverage(
    service: Service, clock: MovingClock, party: dict[str, str], first_stop: int | None
) -> None:
    story = whole_story(clock)
    joined = an_event("party.joined", clock.now + timedelta(seconds=20), party=party)
    left = an_event("party.left", clock.now + timedelta(seconds=30), party=party)
    clock.advance(seconds=61)
    tell(service, *story, left, joined)

    stops = [stop for _, stop in keep(service, clock)]
    assert (stops[0] if len(stops) > 1 else None) == first_stop


@pytest.mark.parametrize(
    ("number", "moves", "kept"),
    [
        (None, [("joined", 20, None), ("left", 30, None)], ((10_000, 20_000), (30_000, UNTIL_END))),
        (
            OTHER,
            [("joined", 20, None), ("left", 25, None), ("joined", 30, None), ("left", 40, None)],
            ((10_000, 20_000), (25_000, 30_000), (40_000, UNTIL_END)),
        ),
        (OTHER, [("joined", 20, "leg-1"), ("joined", 25, "leg-2"), ("left", 30, "leg-1")], ((10_000, 20_000),)),
    ],
)
def test_p1_an_outsider_is_gone_once_that_very_one_has_left(
    service: Service,
    clock: MovingClock,
    number: str | None,
    moves: list[tuple[str, int, str | None]],
    kept: tuple[tuple[int, int], ...],
) -> None:
    story, party = whole_story(clock), {"role": "outside", "number": number}
    told = [
        an_event(f"party.{kind}", clock.now + timedelta(seconds=when), party=party, leg_id=leg)
        for kind, when, leg in moves
    ]
    clock.advance(seconds=61)
    tell(service, *story, *told)

    assert keep(service, clock) == kept


def test_p1_of_two_outsiders_nobody_can_tell_apart_none_is_known_to_have_left(
    service: Service, clock: MovingClock
) -> None:
    story, party = whole_story(clock), {"role": "outside", "number": None}
    moves = [
        an_event(kind, clock.now + timedelta(seconds=when), party=party)
        for kind, when in (("party.joined", 20), ("party.joined", 25), ("party.left", 30))
    ]
    clock.advance(seconds=61)
    tell(service, *story, *moves)

    assert keep(service, clock) == ((10_000, 20_000),)


@pytest.mark.parametrize("caller", [CUSTOMER, None])
def test_p1_of_two_customers_nobody_can_tell_apart_none_is_known_to_have_left(
    service: Service, clock: MovingClock, caller: str | None
) -> None:
    """The one the call is with is never announced: whoever leaves may be that one."""
    story, party = (
        [started(clock.now, **{"from": caller}), *whole_story(clock)[1:]],
        {"role": "customer", "number": None},
    )
    joined = an_event("party.joined", clock.now + timedelta(seconds=20), party=party)
    left = an_event("party.left", clock.now + timedelta(seconds=30), party=party)
    clock.advance(seconds=61)
    tell(service, *story, joined, left)

    assert keep(service, clock) == ((10_000, 20_000),)


AGENTS_PHONE = "+4522222222"


@pytest.mark.parametrize(
    ("to", "agent", "kept"), [(OTHER, None, False), (CUSTOMER, None, True), (AGENTS_PHONE, AGENTS_PHONE, True)]
)
def test_p1_a_yes_does_not_speak_for_the_customer_of_a_linked_call(
    service: Service, clock: MovingClock, to: str, agent: str | None, kept: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    called = CALLED | {"to": to}
    party = {"role": "agent", "number": agent}
    at = begun + timedelta(seconds=20)
    tell(service, an_event("call.started", at, call="pbx-82", **called))
    tell(
        service,
        an_event("call.transferred", at, call="pbx-82", parent_call_id="pbx-81", party=party),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=41, call="pbx-82"),
    )

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        decided = Family(connection, call).decided(service, recording, clock.now)
    assert (decided.kind, decided.keep) == (("keep", ((0, 1 << 40),)) if kept else ("wait", ()))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored")
    evidence_shown = finding.look(service, recording.id, actor=Actor("act_2", "dpo"), now=clock.now).consent
    assert (evidence_shown is not None and evidence_shown.script == "inbound-da@1") == kept


@pytest.mark.parametrize("word", ["refused", "withdrawn"])
def test_p1_a_no_by_the_customer_of_a_linked_call_is_one_for_all(
    service: Service, clock: MovingClock, word: str
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    at = begun + timedelta(seconds=20)
    tell(service, an_event("call.started", at, call="pbx-82", **CALLED))
    assert keep(service, clock) == ((10_000, 1 << 40),)
    tell(
        service,
        an_event("call.transferred", at, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event(f"consent.{word}", clock.now, call="pbx-82"),
    )

    assert keep(service, clock) == ()


def test_p1_a_call_is_not_blanked_while_nobody_has_decided_whom_its_yes_covers(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun))[:3], an_event("call.ended", clock.now))  # nothing was recorded of it
    tell(service, an_event("call.started", begun, call="pbx-82", **CALLED))
    clock.advance(seconds=60)
    tell(
        service,
        an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=100, call="pbx-82"),
    )
    (recording,) = its_recordings(service, the_call(service, "pbx-82"))
    for seconds in (86_341, 60):  # the deadline of the first call, of the second
        clock.advance(seconds=seconds)
        service.keyring.ensure(clock.now)
        calls.apply_pending(service, clock.now)

    with service.database.read() as connection:
        decided = Family(connection, the_call(service, "pbx-82")).decided(service, recording, clock.now)
    assert (decided.kind, decided.reason) == ("discard", "no_consent")
    capture.capture_due(service, clock.now)
    parent = the_call(service).id
    clock.advance(seconds=301)
    calls.apply_pending(service, clock.now)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, parent), "state", None) == "blank"


@pytest.mark.parametrize(("to", "kept"), [(OTHER, False), (CUSTOMER, True)])
def test_p1_erasing_a_call_gives_its_yes_to_nobody_whom_it_does_not_speak_for(
    service: Service, clock: MovingClock, to: str, kept: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    (first,) = its_recordings(service, the_call(service))
    parent = the_call(service).id
    called = CALLED | {"to": to}
    at = begun + timedelta(seconds=20)
    tell(service, an_event("call.started", at, call="pbx-82", **called))
    tell(
        service,
        an_event("call.transferred", at, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=41, call="pbx-82"),
    )
    as_stored(service, first)
    erasure.erase(service, first.id, reason="ordered", actor=Actor("act_2", "dpo"), now=clock.now)

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.write() as connection:
        decided = Family(connection, call).decided(service, recording, clock.now)
        recordings.change(connection, recording.id, state="discarded")
    assert decided.kind == ("keep" if kept else "wait")
    clock.advance(days=1)
    calls.apply_pending(service, clock.now)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, parent), "state", None) == "blank"


def test_p1_the_customer_of_a_linked_call_who_joins_ends_coverage(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    called = {"direction": "outbound", "from": SALES_LINE, "to": OTHER, "customer_type": "private"}
    tell(service, an_event("call.started", begun, call="pbx-82", **called))
    party = {"role": "customer", "number": OTHER}
    tell(
        service,
        an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("party.joined", begun + timedelta(seconds=40), party=party),
    )

    assert keep(service, clock) == ((10_000, 40_000),)
