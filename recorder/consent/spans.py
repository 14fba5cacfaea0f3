"""Spans of a recording's timeline: half-open pairs of milliseconds, in order, never touching."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]
Spans = tuple[Span, ...]

UNTIL_END = 1 << 40  # milliseconds; a span that stops here runs to the end of the audio, however long that is
WHOLE: Spans = ((0, UNTIL_END),)


def union(spans: Iterable[Span]) -> Spans:
    """What any of the spans covers."""
    merged: list[Span] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return tuple(merged)


def intersect(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """What both cover."""
    others = list(other)
    return union((max(a, c), min(b, d)) for a, b in one for c, d in others)


def subtract(spans: Iterable[Span], removed: Iterable[Span]) -> Spans:
    """What `spans` cover and `removed` do not."""
    left = union(spans)
    for start, stop in union(removed):
        left = tuple(piece for a, b in left for piece in ((a, min(b, start)), (max(a, stop), b)) if piece[0] < piece[1])
    return left
