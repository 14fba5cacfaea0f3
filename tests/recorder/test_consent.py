"""What may be kept: each rule by an example, and over all orders, repetitions and losses by property."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.consent import (
    CallFacts,
    ConsentFact,
    Decision,
    EdgeFact,
    PartyFact,
    RecordingFacts,
    decide,
    narrowed,
)
from recorder.consent.spans import UNTIL_END, WHOLE, Span, intersect, subtract, union
from recorder.consent.timeline import visits

START = datetime(2026, 9, 3, 8, 0, tzinfo=UTC)
END = START + timedelta(seconds=600)
LATER = END + timedelta(seconds=1)
DAY = timedelta(days=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def said(decision: str, seconds: float | None, clock: str = "platform", received: float | None = None) -> ConsentFact:
    heard = at(seconds or 0) if received is None else at(received)
    return ConsentFact(decision, None if seconds is None else at(seconds), clock, heard, "dtmf")


def edge(kind: str, seconds: float, clock: str = "platform") -> EdgeFact:
    return EdgeFact(kind, at(seconds), clock)


def a_call(*consents: ConsentFact, **changes: Any) -> CallFacts:
    facts = CallFacts(segment="private_inbound", ended_at=END, skew_us=50_000, consents=frozenset(consents))
    return replace(facts, **changes)


def a_recording(*edges: EdgeFact, **changes: Any) -> RecordingFacts:
    facts = RecordingFacts(started_at=START, available_at=END, duration_ms=600_000, edges=frozenset(edges))
    return replace(facts, **changes)


def decision(
    call: CallFacts, recording: RecordingFacts | None = None, now: datetime = LATER, pauses: str = "mute"
) -> Decision:
    return decide(call, recording or a_recording(), now=now, deadline_s=86_400, wait_for_end_s=60, pauses=pauses)


def test_p1_only_what_follows_the_yes_is_kept() -> None:
    found = decision(a_call(said("granted", 12.3456)))

    assert (found.kind, found.keep, found.whole) == ("keep", ((12_346, UNTIL_END),), False)


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


@pytest.mark.parametrize(
    ("when", "skew_us", "kind"),
    [(102, 0, "discard"), (102.001, 0, "keep"), (500, None, "discard"), (500, 2_000_001, "discard")],
)
def test_p1_a_yes_by_another_clock_counts_only_if_it_surely_followed_the_no(
    when: float, skew_us: int | None, kind: str
) -> None:
    call = a_call(said("withdrawn", 100), said("granted", when, "service"), skew_us=skew_us)

    assert decision(call).kind == kind


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


@pytest.mark.parametrize("skew_us", [0, 2_000_000, -2_000_000])
def test_p1_across_clocks_the_yes_counts_two_seconds_late(skew_us: int) -> None:
    assert decision(a_call(said("granted", 10, "service"), skew_us=skew_us)).keep == ((12_000, UNTIL_END),)


@pytest.mark.parametrize("skew_us", [None, 2_000_001, -2_000_001])
def test_p1_across_clocks_that_may_disagree_nothing_is_covered(skew_us: int | None) -> None:
    call = a_call(said("granted", 10, "service"), skew_us=skew_us)

    assert decision(call).kind == "wait"
    assert decision(call, now=END + DAY) == Decision("discard", "unproven")


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


def test_p1_an_outsider_ends_coverage_until_gone() -> None:
    call = a_call(
        said("granted", 0), parties=frozenset({PartyFact("x", True, at(100)), PartyFact("x", False, at(200))})
    )

    assert decision(call).keep == ((0, 100_000), (200_000, UNTIL_END))


def test_p1_one_outsider_who_leaves_does_not_take_another_along() -> None:
    parties = [PartyFact("x", True, at(100)), PartyFact("y", True, at(50)), PartyFact("y", False, at(200))]

    assert decision(a_call(said("granted", 0), parties=frozenset(parties))).keep == ((0, 50_000),)


def test_p1_an_outsider_ends_coverage_until_a_new_yes() -> None:
    joined = frozenset({PartyFact("x", True, at(100))})

    assert decision(a_call(said("granted", 0), parties=joined)).keep == ((0, 100_000),)
    renewed = a_call(said("granted", 0), said("granted", 150), parties=joined)
    assert decision(renewed).keep == ((0, 100_000), (150_000, UNTIL_END))
    gone = replace(renewed, parties=joined | {PartyFact("x", False, at(200))})
    assert decision(gone).keep == ((0, 100_000), (150_000, UNTIL_END))
    pressed = a_call(said("granted", 0), said("granted", 150, "service"), parties=joined)
    assert decision(pressed).keep == ((0, 100_000), (152_000, UNTIL_END))
    known = a_call(said("granted", 100), parties=joined)
    assert decision(known).keep == ((100_000, UNTIL_END),)


def test_p1_an_outsider_whose_coming_was_lost_was_there_from_the_start() -> None:
    call = a_call(said("granted", 0), parties=frozenset({PartyFact("x", False, at(200))}))

    assert decision(call).keep == ((200_000, UNTIL_END),)


def test_p1_an_outsider_who_goes_and_comes_at_one_moment_is_there() -> None:
    moves = [PartyFact("x", True, at(50)), PartyFact("x", False, at(100)), PartyFact("x", True, at(100))]

    for told in permutations(moves):
        assert visits(told) == [(moves[0], moves[1]), (moves[2], None)]


def test_p1_a_question_left_unanswered_ends_coverage() -> None:
    assert decision(a_call(said("granted", 0), said("unanswered", 50))).keep == ((0, 50_000),)
    assert decision(a_call(said("granted", 0), said("unanswered", 50, "service"))).keep == ((0, 48_000),)
    assert decision(a_call(said("unanswered", 0), said("granted", 50))).keep == ((50_000, UNTIL_END),)
    assert decision(a_call(said("granted", 0), said("requested", 50))).whole


def test_p1_a_pause_is_muted_or_cut() -> None:
    call = a_call(said("granted", 0))
    recording = a_recording(edge("paused", 10.0001), edge("resumed", 20.0001))

    muted, cut = decision(call, recording), decision(call, recording, pauses="cut")

    assert (muted.keep, muted.mute, muted.whole) == (WHOLE, ((10_000, 20_001),), False)
    assert (cut.keep, cut.mute) == (((0, 10_000), (20_001, UNTIL_END)), ())


def test_p1_a_pause_that_never_ends_lasts() -> None:
    call = a_call(said("granted", 0))

    assert decision(call, a_recording(edge("paused", 10))).mute == ((10_000, UNTIL_END),)
    always = a_recording(edge("paused", 0))
    assert decision(call, always, now=END + DAY, pauses="cut") == Decision("discard", "paused")


def test_p1_a_resumption_whose_pause_was_lost_pauses_all_before_it() -> None:
    recording = a_recording(edge("paused", 10), edge("resumed", 20), edge("resumed", 50))

    assert decision(a_call(said("granted", 0)), recording).mute == ((10_000, 50_000),)
    later = a_recording(*recording.edges, edge("paused", 40), edge("resumed", 80))
    assert decision(a_call(said("granted", 0)), later).mute == ((10_000, 20_000), (40_000, 80_000))


def test_p1_a_pause_that_cannot_be_placed_discards() -> None:
    call = a_call(said("granted", 0), skew_us=None)

    assert decision(call, a_recording(edge("paused", 10, "service")), now=END + DAY).reason == "unproven"


def test_p1_an_agents_pause_is_taken_two_seconds_wider() -> None:
    recording = a_recording(edge("paused", 10, "service"), edge("resumed", 20, "service"))

    assert decision(a_call(said("granted", 0)), recording).mute == ((8_000, 22_000),)
    lost = a_recording(edge("resumed", 20, "service"))
    assert decision(a_call(said("granted", 0)), lost).mute == ((0, 22_000),)


def test_p1_a_recording_stopped_and_started_again_has_no_timeline_after_the_stop() -> None:
    call, once = a_call(said("granted", 0)), [edge("started", 0), edge("stopped", 100)]

    assert decision(call, a_recording(*once)).whole
    assert decision(call, a_recording(once[1])).whole
    assert decision(call, a_recording(*once, edge("started", 200))).mute == ((100_000, UNTIL_END),)


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


spans_ = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5)


def covered(spans: Iterable[Span]) -> set[int]:
    return {moment for start, stop in spans for moment in range(start, stop)}


@given(spans_, spans_)
def test_p1_spans_cover_what_their_milliseconds_say(one: list[Span], other: list[Span]) -> None:
    both, shared, rest = union([*one, *other]), intersect(one, other), subtract(one, other)

    assert covered(both) == covered(one) | covered(other)
    assert covered(shared) == covered(one) & covered(other)
    assert covered(rest) == covered(one) - covered(other)
    for found in (both, shared, rest):
        assert all(start < stop for start, stop in found)
        assert all(stop < start for (_, stop), (start, _) in pairwise(found))


seconds = st.one_of(st.integers(-30, 650), st.integers(-86_410, -86_390))
clocks = st.sampled_from(["platform", "service"])
moments = st.one_of(st.none(), seconds)
consents = st.builds(
    said, st.sampled_from(["requested", "granted", "refused", "unanswered", "withdrawn"]), moments, clocks
)
coming = st.builds(lambda who, when: PartyFact(who, True, at(when)), st.sampled_from("xy"), seconds)
going = st.builds(lambda who, when: PartyFact(who, False, at(when)), st.sampled_from("xy"), seconds)
pauses_ = st.builds(lambda when, clock: edge("paused", when, clock), seconds, clocks)
edges_ = st.builds(
    edge,
    st.sampled_from(["started", "paused", "resumed", "stopped"]),
    seconds,
    clocks,
)
calls_ = st.builds(
    lambda said_, parties, skew: a_call(*said_, parties=frozenset(parties), skew_us=skew),
    st.lists(consents, max_size=5),
    st.lists(st.one_of(coming, going), max_size=4),
    st.sampled_from([None, 0, 5_000_000]),
)
recordings_ = st.builds(
    lambda edges, by_answer, maybe, started: a_recording(
        *edges, by_answer=by_answer, maybe_by_answer=maybe, started_at=started
    ),
    st.lists(edges_, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([START, None]),
)


def heard(call: CallFacts, recording: RecordingFacts) -> tuple[tuple[int, int], ...]:
    """What a listener would hear in the end: nothing is open at the deadline."""
    found = decision(call, recording, now=END + DAY + DAY)
    assert found.kind in {"keep", "discard"}
    return subtract(found.keep, found.mute)


def within(narrow: tuple[tuple[int, int], ...], wide: tuple[tuple[int, int], ...]) -> bool:
    return intersect(narrow, wide) == narrow


@given(calls_, recordings_, st.randoms())
def test_p1_order_and_repetition_do_not_matter(call: CallFacts, recording: RecordingFacts, random: Any) -> None:
    shuffled = list(call.consents) * 2
    random.shuffle(shuffled)
    moved = list(call.parties) * 2
    random.shuffle(moved)
    cut = list(recording.edges) * 2
    random.shuffle(cut)

    again = heard(
        replace(call, consents=frozenset(shuffled), parties=frozenset(moved)), replace(recording, edges=frozenset(cut))
    )

    assert again == heard(call, recording)


@given(calls_, recordings_)
def test_p1_nothing_is_heard_without_a_yes(call: CallFacts, recording: RecordingFacts) -> None:
    silent = replace(call, consents=frozenset(one for one in call.consents if one.decision != "granted"))

    assert heard(silent, recording) == ()


@given(calls_, recordings_)
def test_p1_losing_a_yes_never_widens(call: CallFacts, recording: RecordingFacts) -> None:
    whole = heard(call, recording)
    for one in call.consents:
        if one.decision == "granted":
            rest = heard(replace(call, consents=call.consents - {one}), recording)
            assert within(rest, whole)


@given(calls_, recordings_, st.sampled_from(["refused", "withdrawn"]), moments, clocks)
def test_p1_a_no_never_widens(
    call: CallFacts, recording: RecordingFacts, word: str, when: int | None, clock: str
) -> None:
    narrower = replace(call, consents=call.consents | {said(word, when, clock)})

    assert within(heard(narrower, recording), heard(call, recording))


@given(calls_, recordings_, moments, clocks)
def test_p1_an_unanswered_question_never_widens(
    call: CallFacts, recording: RecordingFacts, when: int | None, clock: str
) -> None:
    narrower = replace(call, consents=call.consents | {said("unanswered", when, clock)})

    assert within(heard(narrower, recording), heard(call, recording))


@given(calls_, recordings_, seconds, seconds)
def test_p1_somebody_else_joining_never_widens(
    call: CallFacts, recording: RecordingFacts, first: int, second: int
) -> None:
    once = replace(call, parties=call.parties | {PartyFact("z", True, at(first))})
    twice = replace(call, parties=once.parties | {PartyFact("z", True, at(second))})

    assert within(heard(once, recording), heard(call, recording))
    assert within(heard(twice, recording), heard(once, recording))


@given(st.lists(st.integers(1, 599), min_size=2, max_size=8, unique=True), st.lists(consents, max_size=3), st.data())
def test_p1_losing_one_coming_or_going_never_widens(
    times: list[int], answers: list[ConsentFact], data: st.DataObject
) -> None:
    moves = [
        PartyFact("x", index % 2 == 0, at(when)) for index, when in enumerate(sorted(times[: len(times) // 2 * 2]))
    ]
    lost = data.draw(st.sampled_from(moves))
    call = a_call(said("granted", 0), *answers, parties=frozenset(moves))

    rest = heard(replace(call, parties=call.parties - {lost}), a_recording())

    assert within(rest, heard(call, a_recording()))


@given(calls_, st.lists(st.integers(1, 599), max_size=6, unique=True), pauses_)
def test_p1_a_pause_never_widens(call: CallFacts, times: list[int], pause: EdgeFact) -> None:
    # A pause may explain a resumption nobody had paused for: that is news, not an act. So these come in pairs.
    paired = zip(["paused", "resumed"] * 3, sorted(times[: len(times) // 2 * 2]), strict=False)
    edges = [edge(kind, when) for kind, when in paired]

    assert within(heard(call, a_recording(*edges, pause)), heard(call, a_recording(*edges)))


@given(st.lists(st.integers(1, 599), min_size=2, max_size=8, unique=True), st.data())
def test_p1_losing_one_edge_of_pauses_and_resumptions_never_widens(times: list[int], data: st.DataObject) -> None:
    kinds = ["paused", "resumed"] * 4
    edges = [edge(kind, when) for kind, when in zip(kinds, sorted(times[: len(times) // 2 * 2]), strict=False)]
    lost = data.draw(st.sampled_from(edges))
    call = a_call(said("granted", 0))

    rest = heard(call, a_recording(*(one for one in edges if one is not lost)))

    assert within(rest, heard(call, a_recording(*edges)))


@given(calls_, recordings_)
def test_p1_a_final_decision_stays_final(call: CallFacts, recording: RecordingFacts) -> None:
    first = decision(call, recording)
    if first.kind != "wait":
        assert decision(call, recording, now=END + DAY + DAY) == first


def test_p1_across_clocks_that_disagree_no_recording_is_perhaps_ours() -> None:
    """The platform's clock is 30 s ahead, and we know. By ours the recording began at -30 s, the yes came at -10 s."""
    call = a_call(said("granted", -10, "service"), skew_us=-30_000_000)

    assert decision(call, a_recording(maybe_by_answer=True)).kind == "wait"
