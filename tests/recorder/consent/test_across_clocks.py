"""P1: what two clocks say of a yes, a no and a recording counts only as far as they surely agree."""

from __future__ import annotations

import pytest

from recorder.consent import Decision
from recorder.consent.spans import UNTIL_END
from tests.recorder.consent.facts import DAY, END, a_call, decision, said


@pytest.mark.parametrize(
    ("when", "skew_us", "kind"),
    [(102, 0, "discard"), (102.001, 0, "keep"), (500, None, "discard"), (500, 2_000_001, "discard")],
)
def test_p1_a_yes_by_another_clock_counts_only_if_it_surely_followed_the_no(
    when: float, skew_us: int | None, kind: str
) -> None:
    call = a_call(said("withdrawn", 100), said("granted", when, "service"), skew_us=skew_us)

    assert decision(call).kind == kind


@pytest.mark.parametrize("skew_us", [0, 2_000_000, -2_000_000])
def test_p1_across_clocks_the_yes_counts_two_seconds_late(skew_us: int) -> None:
    assert decision(a_call(said("granted", 10, "service"), skew_us=skew_us)).keep == ((12_000, UNTIL_END),)


@pytest.mark.parametrize("skew_us", [None, 2_000_001, -2_000_001])
def test_p1_across_clocks_that_may_disagree_nothing_is_covered(skew_us: int | None) -> None:
    call = a_call(said("granted", 10, "service"), skew_us=skew_us)

    assert decision(call).kind == "wait"
    assert decision(call, now=END + DAY) == Decision("discard", "unproven")
