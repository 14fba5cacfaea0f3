"""A long list of recordings, one page at a time.

A page is named by the place of an item on it, not by a number: whatever comes into the list or leaves it, a reader who
goes from page to page misses nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from storage.catalogue.requests import Listed
from storage.clock import EPOCH, MICROSECOND

LAST = datetime.max.replace(tzinfo=UTC)  # the place of recordings that are gone

Place = tuple[datetime, str]


@dataclass(frozen=True)
class Leaf:
    """One page. `previous` and `next` are places on the pages beside it, None where there is none."""

    items: Sequence[Listed]
    first: int  # the number of its first item, from 1
    total: int
    previous: str | None
    next: str | None

    @property
    def last(self) -> int:
        return self.first + len(self.items) - 1


def leaf(listed: Sequence[Listed], at: str | None, size: int) -> Leaf:
    """The page with the place `at`, of a list in the order of `requests.listed`; without such a place, the first."""
    places = [(one.started_at or LAST, one.match.recording_id) for one in listed]
    begins = bisect_left(places, _place(at)) // size * size if at else 0
    if begins >= len(places):
        begins = 0
    ends = begins + size
    return Leaf(
        items=listed[begins:ends],
        first=begins + 1,
        total=len(places),
        previous=place(*places[begins - size]) if begins else None,
        next=place(*places[ends]) if ends < len(places) else None,
    )


def place(started_at: datetime | None, recording_id: str) -> str:
    """The place of a recording in any list it is in."""
    return f"{((started_at or LAST) - EPOCH) // MICROSECOND}.{recording_id}"


def _place(name: str) -> Place:
    micros, _, recording_id = name.partition(".")
    try:
        return EPOCH + int(micros) * MICROSECOND, recording_id
    except (ValueError, OverflowError):
        return EPOCH, ""
