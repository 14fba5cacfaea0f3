"""P1: a recording that our answer started is covered from its first sample, and only if it is surely that one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recorder.consent import PartyFact
from recorder.consent.spans import UNTIL_END, WHOLE
from tests.recorder.consent.facts import a_call, a_recording, at, decision, said


def test_p1_a_recording_started_by_our_answer_is_covered_from_its_first_sample() -> None:
    # The platform's clock is a minute ahead: cause beats clock.
    call = a_call(said("granted", -60, "service"), skew_us=-60_000_000)

    assert decision(call, a_recording(by_answer=True)).whole
    assert decision(call, a_recording(by_answer=True, started_at=None, duration_ms=None)).whole
    known = a_call(said("granted", -1, "service"), parties=frozenset({PartyFact("x", True, at(-60))}))
    assert decision(known, a_recording(by_answer=True)).whole


def test_p1_the_cause_needs_a_yes_given_through_us() -> None:
    call = a_call(said("granted", 30, "platform"))

    assert decision(call, a_recording(by_answer=True)).keep == ((30_000, UNTIL_END),)


@pytest.mark.parametrize(("received", "kind"), [(-5.0, "keep"), (1.9, "keep"), (2.1, "wait")])
def test_p1_a_recording_perhaps_ours_is_ours_only_if_it_followed_the_yes(received: float, kind: str) -> None:
    call = a_call(said("granted", 10_000, "service", received), skew_us=None)

    found = decision(call, a_recording(maybe_by_answer=True))

    assert found.kind == kind
    assert found.whole == (kind == "keep")
    assert decision(call, a_recording(maybe_by_answer=True, started_at=None)).kind == "wait"
    again = replace(call, consents=call.consents | {said("granted", 10_100, "service", 100)})
    assert decision(again, a_recording(maybe_by_answer=True)).kind == kind


def test_p1_a_button_is_not_answered_by_a_recording() -> None:
    """On a call of ours that a flow of the house's own has recorded from its start, the yes is the agent's button."""
    pressed = replace(said("granted", 60, "service"), method="verbal")

    assert decision(a_call(pressed), a_recording(by_answer=True)).keep == ((62_000, UNTIL_END),)
    assert decision(a_call(pressed), a_recording(by_answer=True, started_at=at(60))).keep == WHOLE
    assert decision(a_call(pressed, skew_us=None), a_recording(by_answer=True)).kind == "wait"


def test_p1_a_second_recording_by_answer_does_not_bring_back_what_was_withdrawn() -> None:
    call = a_call(said("granted", -10, "service"), said("withdrawn", 100, "service"), said("granted", 200, "service"))

    assert decision(call, a_recording(by_answer=True)).keep == ((202_000, UNTIL_END),)


def test_p1_across_clocks_that_disagree_no_recording_is_perhaps_ours() -> None:
    """The platform's clock is 30 s ahead, and we know. By ours the recording began at -30 s, the yes came at -10 s."""
    call = a_call(said("granted", -10, "service"), skew_us=-30_000_000)

    assert decision(call, a_recording(maybe_by_answer=True)).kind == "wait"
