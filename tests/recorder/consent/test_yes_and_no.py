"""P1: a yes covers what follows it, a no takes back what came before, and without either nothing is kept for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.consent import Decision, narrowed
from recorder.consent.spans import UNTIL_END, WHOLE
from tests.recorder.consent.facts import DAY, END, LATER, a_call, a_recording, at, decision, said


def test_p1_only_what_follows_the_yes_is_kept() -> None:
    found = decision(a_call(said("granted", 12.3456)))

    assert (found.kind, found.keep, found.whole) == ("keep", ((12_346, UNTIL_END),), False)


@pytest.mark.parametrize("word", ["refused", "withdrawn", "unanswered"])
def test_p1_a_no_is_final_once_the_call_is_over(word: str) -> None:
    call = a_call(said("requested", 1), said(word, 10))

    assert decision(call) == Decision("discard", word)
    assert decision(replace(call, ended_at=None), a_recording(available_at=LATER)).kind == "wait"


def test_p1_a_withdrawal_erases_what_was_recorded_before_it_too() -> None:
    call = a_call(said("granted", 10), said("withdrawn", 500))

    assert decision(call) == Decision("discard", "withdrawn")


def test_p1_a_refusal_after_a_yes_is_a_withdrawal() -> None:
    assert decision(a_call(said("granted", 10), said("refused", 500))).reason == "withdrawn"


def test_p1_a_new_yes_after_a_withdrawal_keeps_only_its_own_span() -> None:
    call = a_call(said("granted", 10), said("withdrawn", 100), said("granted", 200))

    assert decision(call).keep == ((200_000, UNTIL_END),)


def test_p1_of_a_yes_and_a_no_at_one_moment_the_no_holds() -> None:
    assert decision(a_call(said("granted", 10), said("refused", 10))).kind == "discard"


def test_p1_a_no_that_nobody_can_time_takes_back_every_yes() -> None:
    assert decision(a_call(said("granted", 10), said("withdrawn", None))) == Decision("discard", "withdrawn")
    assert decision(a_call(said("refused", 10), said("granted", None))) == Decision("discard", "withdrawn")


def test_p1_without_any_answer_it_waits_for_the_deadline_and_is_discarded() -> None:
    call = a_call(said("requested", 1))

    assert decision(call) == Decision("wait", "consent_pending", until=END + DAY)
    assert decision(call, now=END + DAY) == Decision("discard", "no_consent")
    late = a_recording(available_at=END + DAY / 2)
    assert decision(call, late).until == END + DAY
    assert decision(replace(call, ended_at=None), late, now=END + DAY).until == END + DAY / 2 + DAY
    assert decision(call, a_recording(available_at=None), now=END + DAY) == Decision("discard", "no_consent")


def test_p1_without_an_end_the_recording_waits_a_minute_for_it() -> None:
    call = a_call(said("granted", 0), ended_at=None)

    assert decision(call, now=END) == Decision("wait", "call_running", until=at(660))
    assert decision(call, now=at(660)).whole
    assert decision(call, a_recording(available_at=None), now=END + DAY) == Decision("wait", "call_running")


def test_p1_a_recording_that_ended_before_the_yes_is_not_kept() -> None:
    """Platforms tell its length in whole seconds."""
    recording = a_recording(duration_ms=200_000)

    assert decision(a_call(said("granted", 200.999)), recording).kind == "keep"
    assert decision(a_call(said("granted", 201)), recording, now=END + DAY) == Decision("discard", "uncovered")


@pytest.mark.parametrize(("days", "clock"), [(1, "platform"), (365, "platform"), (1, "service")])
def test_p1_a_yes_from_long_before_the_call_is_none_in_it(days: int, clock: str) -> None:
    """No call is longer than a day: whatever was agreed to then, or whosever clock was wrong, it proves nothing."""
    old = said("granted", -days * 86_400 - 0.001, clock)

    assert decision(a_call(old)).kind == "wait"
    assert decision(a_call(old), now=END + DAY) == Decision("discard", "unproven")
    assert decision(a_call(old, said("granted", 20))).keep == ((20_000, UNTIL_END),)
    assert decision(a_call(said("granted", -86_400))).whole


def test_p1_a_call_of_no_announced_class_is_not_kept() -> None:
    assert decision(a_call(said("granted", 0), segment=None)) == Decision("discard", "class_unknown")


def test_p1_events_that_overtook_their_calls_first_webhook_wait_for_it() -> None:
    call = a_call(said("granted", 0), opened=False)

    assert decision(call).until == END + timedelta(hours=1)
    assert decision(call, now=END + timedelta(hours=1)) == Decision("discard", "unknown_call")


def test_p1_a_question_left_unanswered_ends_coverage() -> None:
    assert decision(a_call(said("granted", 0), said("unanswered", 50))).keep == ((0, 50_000),)
    assert decision(a_call(said("granted", 0), said("unanswered", 50, "service"))).keep == ((0, 48_000),)
    assert decision(a_call(said("unanswered", 0), said("granted", 50))).keep == ((50_000, UNTIL_END),)
    assert decision(a_call(said("granted", 0), said("requested", 50))).whole


def test_a_recording_that_is_not_there_yet_is_waited_for() -> None:
    assert decision(a_call(said("granted", 0)), a_recording(available_at=None)) == Decision("wait", "not_available")


def test_p1_what_was_decided_is_only_ever_narrowed() -> None:
    before = Decision("keep", "consented", ((10, 100), (200, UNTIL_END)), ((20, 30),))

    wider = narrowed(before, Decision("keep", "consented", WHOLE))
    assert (wider.keep, wider.mute) == (before.keep, before.mute)
    other = narrowed(before, Decision("keep", "consented", ((50, 150),), ((60, 70),)))
    assert (other.keep, other.mute) == (((50, 100),), ((60, 70),))
    assert narrowed(before, Decision("keep", "consented", ((100, 200),))) == Decision("discard", "uncovered")
    for undone in (Decision("discard", "withdrawn"), Decision("wait", "consent_pending")):
        assert narrowed(before, undone) == undone
