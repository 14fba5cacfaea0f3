from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from aiohttp.test_utils import make_mocked_request

from api import words


def test_moments_are_shown_in_copenhagen_across_the_clock_change() -> None:
    summer = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
    winter = datetime(2026, 12, 2, 8, 18, tzinfo=UTC)

    assert words.moment("da", summer) == "3.\xa0september 2026 kl.\xa010.12"
    assert words.moment("da", winter) == "2.\xa0december 2026 kl.\xa009.18"
    assert words.stamp("da", summer) == "3.\xa0sep.\xa02026 10.12"
    assert words.short_day("da", winter) == "2.\xa0dec.\xa02026"
    assert words.moment("en", summer) == "3\xa0September 2026 at\xa010:12"


@pytest.mark.parametrize(
    "value", [datetime(2026, 11, 2, 23, 30, tzinfo=UTC), "2026-11-02T23:30:00Z", "20261103", date(2026, 11, 3)]
)
def test_days_are_days_in_copenhagen(value: datetime | date | str) -> None:
    assert words.day("da", value) == "3.\xa0november 2026"


def test_nothing_known_is_a_dash() -> None:
    assert [words.moment("da", None), words.day("da", None), words.duration("da", None), words.size("da", None)] == [
        "–"
    ] * 4


def test_durations_and_sizes_read_naturally_and_no_line_ends_within_them() -> None:
    assert words.duration("da", 252_000) == "4\xa0min. 12\xa0sek."
    assert words.duration("en", 3_600_000) == "1\xa0h"
    assert words.duration("da", 0) == "0\xa0sek."
    assert words.size("da", 2_100_000) == "2,1\xa0MB"
    assert words.size("en", 999) == "999\xa0byte"


@pytest.mark.parametrize(
    ("headers", "query", "wanted"),
    [
        ({}, "", "da"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, "", "en"),
        ({"Accept-Language": "nb-NO"}, "", "da"),
        ({"Accept-Language": "zh"}, "", "da"),
        ({"Accept-Language": ";;;,,"}, "", "da"),
        ({"Accept-Language": "en", "Cookie": "lang=da"}, "", "da"),
        ({"Cookie": "lang=da"}, "?lang=en", "en"),
        ({"Cookie": "lang=xx"}, "?lang=../..", "da"),
    ],
)
def test_language_is_the_wish_that_comes_closest(headers: dict[str, str], query: str, wanted: str) -> None:
    assert words.language(make_mocked_request("GET", "/" + query, headers=headers)) == wanted
