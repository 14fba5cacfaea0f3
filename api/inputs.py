"""Reading what a request says: JSON, form and query fields, each refused by name where it is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from aiohttp import web

from api.words import ZONE
from recorder.errors import InvalidInputError

LONGEST_TEXT = 1000


async def document(request: web.Request, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object of the body; where it is `optional`, nothing is an empty one.

    Raises `InvalidInputError` for anything else.
    """
    sent = await request.read()
    if optional and not sent:
        return {}
    try:
        body = json.loads(sent)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError("the body is not JSON") from exc
    if not isinstance(body, dict):
        raise InvalidInputError("the body is not a JSON object")
    return body


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form, trimmed, without the empty ones; the last of a name counts."""
    fields = await request.post()
    return {name: value.strip() for name, value in fields.items() if isinstance(value, str) and value.strip()}


def known(fields: Mapping[str, Any], names: Collection[str]) -> None:
    """Refuse fields nobody reads: a typing error must not widen a search or drop a wish."""
    unknown = sorted(set(fields) - set(names))
    if unknown:
        raise InvalidInputError("unknown fields: " + ", ".join(name[:40] for name in unknown[:10]))


def text(fields: Mapping[str, Any], name: str, *, required: bool = False, longest: int = LONGEST_TEXT) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        if required:
            raise InvalidInputError(f"{name} is missing")
        return None
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise InvalidInputError(f"{name} must be text of at most {longest} characters")
    return value.strip() or None


def needed(fields: Mapping[str, Any], name: str, *, longest: int = LONGEST_TEXT) -> str:
    value = text(fields, name, required=True, longest=longest)
    if value is None:
        raise InvalidInputError(f"{name} is missing")
    return value


def one_of(fields: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
    value = needed(fields, name)
    if value not in allowed:
        raise InvalidInputError(f"{name} must be one of " + ", ".join(sorted(allowed)))
    return value


def moment(fields: Mapping[str, Any], name: str, *, end: bool = False) -> datetime | None:
    """An RFC 3339 time, or a date, which is a day in Copenhagen: its start, or with `end` the start of the next."""
    value = text(fields, name)
    if value is None:
        return None
    try:
        if len(value) == len("yyyy-mm-dd"):
            day = date.fromisoformat(value)
            if end:
                day = date.fromordinal(day.toordinal() + 1)
            return datetime.combine(day, time(), ZONE).astimezone(UTC)
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise InvalidInputError(f"{name} needs a time zone")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidInputError(f"{name} is not an RFC 3339 time") from exc
