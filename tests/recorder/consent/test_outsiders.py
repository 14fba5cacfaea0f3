"""P1: whoever is in the call without the yes speaking for them ends what it covers, until they are surely gone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from recorder.consent import PartyFact
from recorder.consent.spans import UNTIL_END
from recorder.consent.timeline import visits
from tests.recorder.consent.facts import a_call, at, decision, said


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
