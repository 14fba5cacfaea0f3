"""Times and ids as rows carry them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic

from sqlalchemy import BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware moment, kept as whole microseconds since 1970 UTC: the same number on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 -- SQLAlchemy's signature
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        return None if value is None else EPOCH + value * MICROSECOND


def utc_now() -> datetime:
    """The time, read at the edge of the program: everything below it is handed `now`."""
    return datetime.now(UTC)


def running(now: datetime) -> Callable[[], datetime]:
    """A clock that starts at `now` and goes on: what takes long is dated by when it was done."""
    started = monotonic()
    return lambda: now + timedelta(seconds=monotonic() - started)


def utc_day(moment: datetime) -> date:
    """The UTC day a moment falls on: the day that names keys and expiry prefixes."""
    return moment.astimezone(UTC).date()


def midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime.combine(day, time(), UTC)


def rfc3339(moment: datetime | None) -> str | None:
    """A moment as JSON shows it: UTC, microseconds only where there are any, `Z`."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def new_id(prefix: str) -> str:
    """A random id (128 bits): it says nothing about when, whose, or how many."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"
