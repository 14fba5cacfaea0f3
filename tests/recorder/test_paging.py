"""Walking a list by pages while it changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.disclosure.paging import leaf, place
from storage.catalogue.requests import Listed, Match
from tests.conftest import BEGINNING


def listed(*numbers: int, gone: tuple[int, ...] = ()) -> list[Listed]:
    there = [Listed(Match("req", f"rec_{n}"), "stored", BEGINNING + timedelta(days=n), None) for n in numbers]
    return there + [Listed(Match("req", f"rec_{n}"), None, None, None) for n in gone]


def ids(items: list[Listed]) -> list[str]:
    return [one.match.recording_id for one in items]


def test_a_walk_there_and_back_meets_everything_once() -> None:
    everything = listed(1, 2, 3, 4, 5, gone=(6, 7))
    seen, at = [], None
    for _ in range(3):
        page = leaf(everything, at, 3)
        seen += ids(list(page.items))
        at = page.next

    assert at is None
    assert seen == ids(everything)
    assert (page.first, page.last, page.total) == (7, 7, 7)
    back = leaf(everything, page.previous, 3)
    assert ids(list(back.items)) == ["rec_4", "rec_5", "rec_6"]
    assert leaf(everything, back.previous, 3).previous is None


@pytest.mark.parametrize("gone", [(), (1,), (2, 3), (1, 2)])
def test_what_goes_meanwhile_moves_nothing_past_the_reader(gone: tuple[int, ...]) -> None:
    first = leaf(listed(1, 2, 3, 4, 5), None, 2)
    left = [n for n in (1, 2, 3, 4, 5) if n not in gone]

    seen, at = set(ids(list(first.items))), first.next
    while at:
        page = leaf(listed(*left, gone=gone), at, 2)
        seen |= set(ids(list(page.items)))
        at = page.next

    assert seen == {"rec_1", "rec_2", "rec_3", "rec_4", "rec_5"}


def test_a_place_in_the_midst_of_a_page_leads_to_the_whole_page() -> None:
    everything = listed(1, 2, 3, 4)
    at = place(everything[3].started_at, "rec_4")
    assert ids(list(leaf(everything, at, 2).items)) == ["rec_3", "rec_4"]
    assert leaf(everything, at, 5).first == 1


@pytest.mark.parametrize("at", ["", "x", "9" * 40, "9" * 5000 + ".rec", "-1.rec", ".", "99999999999999999.rec_z"])
def test_a_place_nobody_gave_out_is_the_beginning(at: str) -> None:
    assert leaf(listed(1, 2), at, 1).first == 1


def test_of_nothing_there_is_one_empty_page() -> None:
    page = leaf([], None, 10)
    assert (list(page.items), page.total, page.previous, page.next) == ([], 0, None, None)
