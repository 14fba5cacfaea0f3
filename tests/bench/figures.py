"""A figure, its limit, and the table they are printed in."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """What was measured beside what; without a `limit` it is only shown."""

    name: str
    measured: str
    reference: str
    value: float
    limit: float | None
    at_least: bool = False

    @property
    def held(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        return "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g}"

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return "shown"
        return "held" if self.held else "MISSED"


def ratio(
    name: str, measured: tuple[float, str], reference: tuple[float, str], limit: float | None, *, at_least: bool = False
) -> Figure:
    """`measured` over `reference`, both as (value, words)."""
    return Figure(name, measured[1], reference[1], measured[0] / reference[0], limit, at_least)


def alternated(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, taken in turn, so that the machine's drift affects all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for results, measure in zip(taken, measures, strict=True):
            results.append(measure())
    return [statistics.median(results) for results in taken]


def quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def page(figures: Sequence[Figure], took_s: float) -> str:
    """docs/performance.md: the figures, and what they were taken on."""
    rows = [
        f"| {one.name} | {one.measured} | {one.reference} | {one.value:.2f} | {one.bound} | {one.verdict} |"
        for one in figures
    ]
    missed = [one for one in figures if not one.held]
    why = [f"- **{name}**: {reason}" for name, reason in REASONS.items() if any(name in one.name for one in missed)]
    return PAGE.format(
        why="\n".join(["", "## What falls short, and why", "", *why, ""]) if why else "",
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        minutes=round(took_s / 60),
        versions=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        rows="\n".join(rows),
    )


def machine() -> str:
    """Processor, cores, memory and system, as they name themselves."""
    cpus = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in cpus.splitlines() if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, Python {python}"
    )


LIBRARIES = ("cryptography", "aiohttp", "sqlalchemy", "psycopg", "boto3")
PAGE = """\
# Performance

Written by `make bench`, which takes every figure beside what it is held against: in one run, in turn, on one machine.
So the ratios are what counts; the figures themselves are this machine's.

- taken on {day} in {minutes} minutes: {machine}
- {versions}; SQLite with a folder, and PostgreSQL with a Ceph gateway, all on the same machine

| figure | measured | beside | ratio | limit | |
|---|---|---|---|---|---|
{rows}
{why}"""
# Printed where a figure misses its limit, found by a part of its name. What was tried is in docs/adr/0025.
REASONS = {
    "capture of 5 MB": "what a capture costs whatever its length: two lasting commits (the claim, so that a process "
    "killed at any point leaves nothing unaccounted for, and the recording), and a second durable object. Some 10 ms; "
    "beside a store further away than this machine's memory it is little.",
    "capture of 460 MB": "the disk of this machine takes writes in fits; compare the seconds, not only the ratio.",
    "with its MP3": "ffmpeg by itself reads a file; we push the sound through a decoder, and on through an encoder. "
    "Fed from memory with raw sound, that encoder alone takes 1.06 times as long as ffmpeg from file to file.",
    "beside sessions": "a fifth of a millisecond of each request is the server's, whoever keeps the event.",
    "download of 20 MB": "nginx has the kernel send pages; we read, check and decrypt every byte on the one core, and "
    "begin after asking token, recording, consent and holds of the database. From S3 the bytes also pass through "
    "Python once, on cores that the gateway needs itself: somebody who passes plain bytes on and asks nobody has two "
    "thirds of a direct GET.",
    "sweep per": "a sweep takes 200 at a time, with commits and a look at the folder for each, so that webhooks get "
    "their turn; by hand it is a thousand at once. 1.15 to 1.5 from run to run.",
    "open loop, SQLite": "SQLite has one writer: who meets the transaction that applies a call waits for its end, 2 to "
    "4 ms while others compute.",
    "open loop, PostgreSQL": "on two cores the load, the service, its jobs and the database server take turns: 2.7 in "
    "one run, 3.4 in another.",
    "beside two encoders": "on two cores the load, the service, its jobs, the database server and the encoders are "
    "never all served at once.",
}


def show(figures: Iterable[Figure]) -> bool:
    """Print the table; gives whether every limit held."""
    table = Table("figure", "measured", "beside", "ratio", "limit", "", box=None)
    held = True
    for figure in figures:
        held &= figure.held
        table.add_row(
            figure.name,
            figure.measured,
            figure.reference,
            f"{figure.value:.2f}",
            figure.bound,
            figure.verdict,
        )
    Console(width=160).print(table)
    return held
