"""P1: over all orders, repetitions and losses of what is told: nothing is heard without a yes, and no lost or added
word ever widens what is kept, except an answer that was given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from recorder.consent import CallFacts, ConsentFact, EdgeFact, PartyFact, RecordingFacts
from recorder.consent.spans import intersect, subtract
from tests.recorder.consent.facts import DAY, END, START, a_call, a_recording, at, decision, edge, said

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
