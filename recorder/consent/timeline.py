"""When things happened on a recording's own timeline, as far as that can be proven.

Times are compared only within one clock, or across two with a guard, where they are known to agree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recorder.consent.spans import UNTIL_END, Span, Spans, union

GUARD = timedelta(seconds=2)  # how far two clocks may disagree, and what is cut because they may
MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)


class Timed(Protocol):
    """When something happened by whose clock; None: nobody knows."""

    @property
    def at(self) -> datetime | None: ...

    @property
    def clock(self) -> str: ...


class Edge(Timed, Protocol):
    @property
    def edge(self) -> str: ...


class Move(Timed, Protocol):
    @property
    def came(self) -> bool: ...


@dataclass(frozen=True)
class Timeline:
    """A recording's start by the platform's clock, and how far that clock is off ours at most."""

    started_at: datetime | None
    skew_us: int | None

    @property
    def clocks_agree(self) -> bool:
        return self.skew_us is not None and abs(self.skew_us) <= GUARD // MICROSECOND

    def after(self, one: Timed, other: Timed, *, or_at: bool = False) -> bool:
        """Whether it is proven that one came after the other (`or_at`: or at the same moment of the same clock)."""
        if one.at is None or other.at is None:
            return False
        if one.clock == other.clock:
            return one.at >= other.at if or_at else one.at > other.at
        return self.clocks_agree and one.at - other.at > GUARD

    def place(self, fact: Timed) -> Span | None:
        """The earliest and the latest millisecond of the recording at which it can have happened."""
        if fact.at is None or self.started_at is None:
            return None
        if fact.clock == "platform":
            guard = timedelta(0)
        elif self.clocks_agree:
            guard = GUARD
        else:
            return None
        since = fact.at - self.started_at
        return ((since - guard) // MILLISECOND, -((-since - guard) // MILLISECOND))


def paused(edges: Collection[Edge], timeline: Timeline) -> Spans | None:
    """Spans in which recording was paused, taken wide; None where a pause cannot be placed.

    A pause ends with the first resumption proven to follow it. Where a resumption's own pause was lost, all since the
    resumption before it counts as paused; where a recording was stopped and started again under one id, all after the
    stop does, for it has no timeline there.
    """
    placed = {edge: place for edge in edges if (place := timeline.place(edge)) is not None}
    pauses = [edge for edge in edges if edge.edge == "paused"]
    if any(pause not in placed for pause in pauses):
        return None
    resumptions = sorted((edge for edge in placed if edge.edge == "resumed"), key=lambda edge: placed[edge][1])
    spans: list[Span] = []
    ending: set[Edge | None] = set()
    for pause in pauses:
        end = next((one for one in resumptions if timeline.after(one, pause)), None)
        spans.append((placed[pause][0], UNTIL_END if end is None else placed[end][1]))
        ending.add(end)
    for orphan in set(resumptions) - ending:
        before = [placed[one][0] for one in resumptions if timeline.after(orphan, one)]
        spans.append((max(before, default=-UNTIL_END), placed[orphan][1]))
    return union([*spans, *_restarted(placed)])


def _restarted(placed: Mapping[Edge, Span]) -> list[Span]:
    starts = [place[1] for edge, place in placed.items() if edge.edge == "started"]
    stops = [place[0] for edge, place in placed.items() if edge.edge == "stopped"]
    return [(stop, UNTIL_END) for stop in stops if stop < max(starts, default=stop)]


def visits(moves: Collection[Move]) -> list[tuple[Move | None, Move | None]]:
    """One party's visits, as (came, went); None: it was there from the beginning, or never went.

    If it came twice without going in between, both count: it has been there since the first, and must be asked again
    after the second.
    """
    if any(move.at is None for move in moves):
        return [(None, None)]
    found: list[tuple[Move | None, Move | None]] = []
    here: list[Move] = []
    # Where it went and came at the same moment, it is there: goings are sorted first.
    for move in sorted(moves, key=lambda move: (move.at, move.came)):
        if move.came:
            here.append(move)
        else:
            found += [(came, move) for came in here] or [(None, move)]
            here = []
    return [*found, *((came, None) for came in here)]
