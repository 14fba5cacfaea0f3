"""One month, as Regulation 1182/71 counts it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from recorder.deadlines import ZONE, due_at, months_after


@pytest.mark.parametrize(
    ("received", "last_day"),
    [
        ("2026-09-03T08:12:00+00:00", "2026-10-03"),
        ("2026-01-31T12:00:00+00:00", "2026-02-28"),
        ("2028-01-31T12:00:00+00:00", "2028-02-29"),
        ("2026-12-31T12:00:00+00:00", "2027-01-31"),
        ("2026-08-31T22:30:00+00:00", "2026-10-01"),  # already September in Copenhagen
        ("2026-10-24T12:00:00+00:00", "2026-11-24"),  # over the end of summer time
    ],
)
def test_the_deadline_is_the_end_of_the_same_date_next_month(received: str, last_day: str) -> None:
    due = due_at(datetime.fromisoformat(received))

    assert due.tzinfo == UTC
    assert due.astimezone(ZONE).isoformat(" ")[:19] == f"{last_day} 23:59:59"


def test_an_extension_counts_from_receipt() -> None:
    assert due_at(datetime(2026, 11, 30, 9, tzinfo=UTC), 3).date() == date(2027, 2, 28)


def test_months_pass_over_the_year() -> None:
    assert months_after(date(2026, 12, 15), 1) == date(2027, 1, 15)
    assert months_after(date(2026, 11, 30), 3) == date(2027, 2, 28)
