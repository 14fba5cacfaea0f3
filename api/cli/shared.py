"""What every command needs: a service while it runs, and two voices. Results go to stdout, all else to stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from recorder.actors import Actor
from recorder.ports import Service

OPERATOR = Actor("cli", "operator")
stderr = Console(stderr=True)


@contextmanager
def running() -> Iterator[Service]:
    """The service as the settings describe it, for one command."""
    from recorder.service import opened
    from recorder.settings import load

    with opened(load()) as service:
        yield service


def say(text: str) -> None:
    """Tell people, not programs: on stderr. A line is never broken, however long, so that it is one in a log too."""
    stderr.print(text, highlight=False, markup=False, soft_wrap=True)


def columns(*rows: Sequence[str]) -> None:
    """Print rows in columns as wide as they need, whatever the terminal's width: an id cut short is useless."""
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
