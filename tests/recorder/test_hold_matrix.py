"""What a hold does to an erasure, cell by cell."""

from __future__ import annotations

import pytest

from recorder.erasure.hold_matrix import KINDS, STRICT, cause_of, verdict


@pytest.mark.parametrize(
    ("kinds", "expiry", "withdrawal", "order"),
    [
        ([], "go", "go", "go"),
        (["access"], "wait", "ask", "warn"),
        (["legal"], "wait", "wait", "refuse"),
        (["dispute"], "wait", "wait", "refuse"),
        (["restriction"], "wait", "wait", "refuse"),
        (["access", "legal"], "wait", "wait", "refuse"),
    ],
)
def test_every_cell(kinds: list[str], expiry: str, withdrawal: str, order: str) -> None:
    assert [verdict(kinds, "expiry"), verdict(kinds, "withdrawal"), verdict(kinds, "order")] == [
        expiry,
        withdrawal,
        order,
    ]


def test_every_kind_is_either_the_persons_own_or_strict() -> None:
    assert set(KINDS) == STRICT | {"access"}


@pytest.mark.parametrize(
    ("reason", "role", "cause"),
    [
        ("expired", "system", "expiry"),
        ("withdrawn", "system", "withdrawal"),
        ("withdrawn", "customer", "withdrawal"),
        ("withdrawn", "agent", "withdrawal"),
        ("dpo_order", "dpo", "order"),
        ("withdrawn", "operator", "order"),
    ],
)
def test_who_orders_decides_the_column(reason: str, role: str, cause: str) -> None:
    assert cause_of(reason, role) == cause
