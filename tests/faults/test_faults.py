"""A few random lives at a fixed seed; `make faults` runs a thousand."""

from __future__ import annotations

from tests.faults.faults import steps
from tests.faults.pool import outcomes

RUNS = 8


def test_p6_nothing_is_lost_doubled_or_kept_without_consent_however_it_dies() -> None:
    found = list(outcomes(range(1, 1 + RUNS)))

    assert len(found) == RUNS
    assert sum(sum(one.suffered.values()) for one in found) >= RUNS
    assert {one.seed: (one.faults, one.story) for one in found if one.faults} == {}


def test_steps_of_every_act_are_named() -> None:
    assert {name.split(".")[0] for name in steps()} >= {"capture", "source", "erase", "deliver", "sweep"}
