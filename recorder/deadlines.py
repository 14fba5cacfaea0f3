"""When a request must be answered: GDPR art. 12(3), counted as Regulation 1182/71 counts. Pure."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Copenhagen")
MONTHS = 1
EXTENDED_MONTHS = 3


def due_at(received_at: datetime, months: int = MONTHS) -> datetime:
    """The last second of the same date so many months on, or of that month's last day.

    The day of receipt does not count. A deadline on a Saturday, Sunday or holiday would move to the next working day;
    we do not take that time.
    """
    return _end_of(months_after(received_at.astimezone(ZONE).date(), months))


def day_ends(moment: datetime) -> datetime:
    """The last second of the day of this moment."""
    return _end_of(moment.astimezone(ZONE).date())


def months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), ZONE).astimezone(UTC)
