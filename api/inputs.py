"""Reading what a request says: JSON, form and query fields, each refused by name where it is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError

from recorder.deadlines import ZONE
from recorder.errors import InvalidInputError

LONGEST_TEXT = 1000
MOST_FIELDS = 2000


Model = TypeVar("Model", bound=BaseModel)


async def body(request: web.Request, model: type[Model], *, optional: bool = False) -> Model:
    """The JSON object of the body as `model`; where it is `optional`, no body counts as an empty object.

    Raises `InvalidInputError` for anything else. The sender's `Content-Type` does not matter.
    """
    sent = await request.read()
    return checked(model, document(sent) if sent or not optional else {})


def query(request: web.Request, model: type[Model]) -> Model:
    """The fields of the address as `model`. Raises `InvalidInputError`, also for a field given twice."""
    if len(set(request.query)) != len(request.query):
        raise InvalidInputError("a field stands twice")
    return checked(model, dict(request.query))


def checked(model: type[Model], fields: Mapping[str, Any]) -> Model:
    """`fields` as `model`. Raises `InvalidInputError`, naming the first wrong field but never repeating its value."""
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part)[:40] for part in fault["loc"] if not isinstance(part, int)) or "the body"
    if fault["type"] == "extra_forbidden":
        raise InvalidInputError(f"unknown field: {name}")
    if fault["type"] == "missing":
        raise InvalidInputError(f"{name} is missing")
    if fault["type"] == "string_pattern_mismatch":
        raise InvalidInputError(f"{name} must be one line of text")
    if fault["type"] == "value_error":
        raise InvalidInputError(f"{name} {fault['msg'].removeprefix('Value error, ')}")
    raise InvalidInputError(f"{name} is refused: {fault['msg'][:1].lower()}{fault['msg'][1:]}")


def document(sent: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, each name once, without NaN and Infinity. Raises `InvalidInputError`."""
    try:
        body = json.loads(sent.decode(), parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError("the body is not JSON") from exc
    if not isinstance(body, dict):
        raise InvalidInputError("the body is not a JSON object")
    return body


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # readers disagree about which of two counts
        raise ValueError("a name stands twice")
    return found


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form, trimmed, without the empty ones; of a repeated field the last counts."""
    return {name: value.strip() for name, value in await pairs(request) if value.strip()}


async def pairs(request: web.Request, most: int = MOST_FIELDS) -> list[tuple[str, str]]:
    """The fields of a posted form as they were typed; UTF-8, whatever encoding the sender names."""
    try:
        sent = parse_qsl((await request.read()).decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError as exc:
        raise InvalidInputError("the body is not a form") from exc
    if any("\x00" in name + value for name, value in sent):  # nobody types NUL, and PostgreSQL takes it nowhere
        raise InvalidInputError("the body is not a form")
    # A browser sends a line's end as two characters, and counts it as one against `maxlength`.
    return [(name, value.replace("\r\n", "\n")) for name, value in sent]


def text(fields: Mapping[str, Any], name: str, *, longest: int = LONGEST_TEXT) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise InvalidInputError(f"{name} must be text of at most {longest} characters")
    return value.strip() or None


def needed(fields: Mapping[str, Any], name: str, *, longest: int = LONGEST_TEXT) -> str:
    value = text(fields, name, longest=longest)
    if value is None:
        raise InvalidInputError(f"{name} is missing")
    return value


def one_of(fields: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
    value = needed(fields, name)
    if value not in allowed:
        raise InvalidInputError(f"{name} must be one of " + ", ".join(sorted(allowed)))
    return value


def moment(fields: Mapping[str, Any], name: str) -> datetime | None:
    """The field as a time, as `start` reads it."""
    value = text(fields, name)
    try:
        return None if value is None else start(value)
    except InvalidInputError as exc:
        raise InvalidInputError(f"{name} {exc}") from exc


def start(value: str) -> datetime:
    """An RFC 3339 time, or the start of a date, which is a day in Copenhagen. Raises `InvalidInputError`."""
    return _moment(value, days=0)


def end(value: str) -> datetime:
    """An RFC 3339 time, or the end of a date, which is a day in Copenhagen. Raises `InvalidInputError`."""
    return _moment(value, days=1)


def _moment(value: str, *, days: int) -> datetime:
    try:
        if len(value) == len("yyyy-mm-dd"):
            day = date.fromordinal(date.fromisoformat(value).toordinal() + days)
            return datetime.combine(day, time(), ZONE).astimezone(UTC)
        found = datetime.fromisoformat(value.upper())
        if found.tzinfo is None:
            raise InvalidInputError("needs a time zone")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidInputError("is not an RFC 3339 time") from exc
