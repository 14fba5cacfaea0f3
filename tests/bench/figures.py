"""A figure, its limit, and the table they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    name: str
    measured: str
    reference: str
    value: float
    limit: float
    at_least: bool

    @property
    def held(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def ratio(
    name: str, measured: tuple[float, str], reference: tuple[float, str], limit: float, *, at_least: bool
) -> Figure:
    """`measured` over `reference`, both as (value, words)."""
    return Figure(name, measured[1], reference[1], measured[0] / reference[0], limit, at_least)


def alternated(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, taken in turn, so that the machine's drift meets all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for results, measure in zip(taken, measures, strict=True):
            results.append(measure())
    return [statistics.median(results) for results in taken]


def quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(figures: Iterable[Figure]) -> bool:
    """Print the table; gives whether every limit held."""
    table = Table("figure", "measured", "beside", "ratio", "limit", "", box=None)
    held = True
    for figure in figures:
        held &= figure.held
        sign = "≥" if figure.at_least else "≤"
        table.add_row(
            figure.name,
            figure.measured,
            figure.reference,
            f"{figure.value:.2f}",
            f"{sign} {figure.limit:g}",
            "held" if figure.held else "MISSED",
        )
    Console(width=160).print(table)
    return held
