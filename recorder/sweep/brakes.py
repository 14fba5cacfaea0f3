"""What stops an unattended sweep. Pure decisions: clocks and counts are arguments.

A brake protects recordings from our own mistakes, so it holds for a day at most: after that the promise to the
person comes first. A forward jump alone is no reason to stop: a machine may have been off for a month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MAX_DISAGREEMENT = timedelta(minutes=5)
HOLDS_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Brake:
    """One reason to stop: `kind` is also the subject of the task that alarms."""

    kind: str  # forecast | second_clock | behind_audit
    detail: str  # days and numbers, for people


def clock_brakes(now: datetime, seconds: Mapping[str, datetime | None], latest_entry: datetime | None) -> list[Brake]:
    """Whether our clock can be believed. `seconds` are other clocks by name; None where one says nothing."""
    brakes = [
        Brake("second_clock", f"our clock and the clock of the {name} differ by {_seconds(now - moment)} s")
        for name, moment in seconds.items()
        if moment is not None and abs(now - moment) > MAX_DISAGREEMENT
    ]
    # Entries written while a sweep begins, or by a machine a little ahead, do not mean that our clock went back.
    if latest_entry is not None and latest_entry - now > MAX_DISAGREEMENT:
        behind = _seconds(latest_entry - now)
        brakes.append(Brake("behind_audit", f"our clock is {behind} s behind the last entry of the audit log"))
    return brakes


def forecast_brakes(found: Mapping[date, int], foreseen: Mapping[date, int], today: date) -> list[Brake]:
    """Whether what is due is what was foreseen when it was stored.

    `found` counts what is due at this moment, so a day that is not over may still lack some, but never have more.
    """
    brakes = []
    for day in sorted(found.keys() | foreseen.keys()):
        due, expected = found.get(day, 0), foreseen.get(day, 0)
        if due > expected or (due < expected and day < today):
            brakes.append(Brake("forecast", f"{day}: {due} due, {expected} foreseen"))
    return brakes


def still_holding(since: Mapping[str, datetime], brakes: list[Brake], now: datetime) -> list[Brake]:
    """The brakes that have not yet held for their day; `since` is when each kind was first felt."""
    return [brake for brake in brakes if now - since.get(brake.kind, now) < HOLDS_FOR]


def _seconds(difference: timedelta) -> int:
    return abs(round(difference.total_seconds()))
