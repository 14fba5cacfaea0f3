"""Reading what a platform sent: each reader takes one value and gives it back checked, or raises `InvalidEventError`.

Messages name the field, never the value: values are personal data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recorder import fetch, phones
from recorder.errors import InvalidEventError, MediaRefusedError
from storage.clock import rfc3339


@dataclass(frozen=True)
class Reader:
    """How a field is checked, and the same as JSON Schema, as far as that can say it."""

    read: Callable[[Any, datetime], Any]
    schema: Mapping[str, Any]

    def __call__(self, value: Any, now: datetime) -> Any:
        return self.read(value, now)


BEHIND = timedelta(days=90)  # nothing is kept for longer: what is older, or a clock that says so, is of no use
AHEAD = timedelta(minutes=10)  # twice the tolerance of a signature: a clock further ahead is wrong
DAY_MS = 86_400_000  # no call is longer
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"  # what of `str.isprintable` a pattern can say
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def text(limit: int, pattern: str | None = None) -> Reader:
    """Printable text of 1 to `limit` characters."""
    compiled = re.compile(pattern) if pattern else None

    def read(value: Any, _now: datetime) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
            raise InvalidEventError(f"must be printable text of at most {limit} characters")
        if compiled and not compiled.fullmatch(value):
            raise InvalidEventError("is not of the form this field has")
        return value

    schema = {"type": "string", "minLength": 1, "maxLength": limit}
    return Reader(read, schema | {"pattern": f"^{pattern}$" if pattern else PRINTABLE})


def choice(*options: str) -> Reader:
    def read(value: Any, _now: datetime) -> str:
        if not isinstance(value, str) or value not in options:
            raise InvalidEventError("must be one of " + ", ".join(options))
        return value

    return Reader(read, {"type": "string", "enum": list(options)})


def whole(low: int, high: int) -> Reader:
    """A whole number; JSON's 1.0 and true are not."""

    def read(value: Any, _now: datetime) -> int:
        if type(value) is not int or not low <= value <= high:
            raise InvalidEventError(f"must be a whole number from {low} to {high}")
        return value

    return Reader(read, {"type": "integer", "minimum": low, "maximum": high})


def _fraction(value: Any, _now: datetime) -> float:
    """A number from 0 to 1."""
    if type(value) not in {int, float} or not 0 <= value <= 1:
        raise InvalidEventError("must be a number from 0 to 1")
    return float(value)


def _phone(value: Any, _now: datetime) -> str | None:
    """E.164, or None: withheld, an extension, a SIP name."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > phones.MAX_LENGTH:
        raise InvalidEventError("must be a telephone number")
    return phones.normalise(value)


def _moment(value: Any, now: datetime) -> str:
    """RFC 3339 with a zone, from 90 days before now to a little after; given back in UTC."""
    return rfc3339(instant(value, now)) or ""


def instant(value: Any, now: datetime) -> datetime:
    """As `_moment`, as a datetime."""
    try:
        if not RFC3339.fullmatch(value):
            raise InvalidEventError("must be an RFC 3339 time with a zone")
        return plausible(datetime.fromisoformat(value.upper()), now)
    except (TypeError, ValueError) as exc:
        raise InvalidEventError("must be an RFC 3339 time with a zone") from exc


def plausible(value: datetime, now: datetime) -> datetime:
    """The moment in UTC, if it can be true."""
    if not now - BEHIND <= value <= now + AHEAD:
        raise InvalidEventError("is not a time this can have happened")
    return value.astimezone(UTC)


def _web_address(value: Any, now: datetime) -> str:
    """A plain http(s) URL. Whether it may be fetched is decided when it is."""
    url: str = text(2048)(value, now)
    try:
        fetch.origin_of(url)
    except MediaRefusedError as exc:
        raise InvalidEventError("must be an http or https URL") from exc
    return url


fraction = Reader(_fraction, {"type": "number", "minimum": 0, "maximum": 1})
phone = Reader(_phone, {"type": ["string", "null"], "maxLength": phones.MAX_LENGTH})
moment = Reader(_moment, {"type": "string", "format": "date-time"})
web_address = Reader(_web_address, {"type": "string", "format": "uri", "maxLength": 2048})
