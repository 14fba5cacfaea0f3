"""Spans joined, shared and taken from each other cover what their milliseconds say."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recorder.consent.spans import Span, intersect, subtract, union

spans_ = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5)


def covered(spans: Iterable[Span]) -> set[int]:
    return {moment for start, stop in spans for moment in range(start, stop)}


@given(spans_, spans_)
def test_p1_spans_cover_what_their_milliseconds_say(one: list[Span], other: list[Span]) -> None:
    both, shared, rest = union([*one, *other]), intersect(one, other), subtract(one, other)

    assert covered(both) == covered(one) | covered(other)
    assert covered(shared) == covered(one) & covered(other)
    assert covered(rest) == covered(one) - covered(other)
    for found in (both, shared, rest):
        assert all(start < stop for start, stop in found)
        assert all(stop < start for (_, stop), (start, _) in pairwise(found))
