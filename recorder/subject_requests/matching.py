"""Which recordings a request is about, and how sure we are. Handles personal data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recorder import personal
from recorder.errors import DirectoryUnavailableError, InvalidInputError
from recorder.finding import past
from recorder.phones import normalise
from recorder.ports import Service
from recorder.subject_requests import contacts
from storage import inbox
from storage.catalogue import calls, recordings
from storage.catalogue.recordings import Recording
from storage.catalogue.requests import Match
from storage.columns import mark

MAX_LENGTH = 200
PAGE = 500
TO_BE_STORED = ("announced", "capturing", "failed")  # a failed one may come after all, and lies at its platform


def about(*, phone: str | None, account: str | None, call: str | None) -> dict[str, Any]:
    """What is asked for, in one form. Raises `InvalidInputError` unless it is exactly one thing."""
    given = {name: value for name, value in (("phone", phone), ("account", account), ("call", call)) if value}
    if len(given) != 1:
        raise InvalidInputError("name exactly one of phone, account and call")
    (name, value), *_ = given.items()
    if len(value) > MAX_LENGTH:
        raise InvalidInputError(f"{name} is too long")
    if name == "phone":
        number = normalise(value)
        if number is None:
            raise InvalidInputError("phone is not a telephone number")
        return {"phone": number}
    return dict(given)


def find(
    service: Service,
    asked: dict[str, Any],
    request_id: str,
    now: datetime,
    *,
    until: datetime,
    to_be_stored: bool = False,
) -> tuple[list[Match], dict[str, Any]]:
    """The recordings that are kept of a number, account or call; and what was asked, completed from them.

    Only of calls begun by `until`; with `to_be_stored`, also recordings that are still to be captured.
    """
    wanted = ("stored", *TO_BE_STORED) if to_be_stored else ("stored",)
    found = [one for one in _rows(service, asked, now) if one.state in wanted and not past(one, now)]
    found = [one for one in found if _begun(one, until)]
    facts = {one.id: _facts(service, one, now) for one in found}
    if to_be_stored:
        facts |= _underway(service, asked, now, until)
    if "call" in asked and found:
        of_the_call = facts[found[0].id]
        asked = asked | {name: of_the_call[name] for name in ("phone", "account") if of_the_call.get(name)}
    doubts = _doubts(service, asked, facts)
    return [Match(request_id, one, doubt not in UNTICKING, doubt) for one, doubt in doubts.items()], asked


UNTICKING = frozenset({"account_changed", "directory_unavailable"})


def _doubts(service: Service, asked: dict[str, Any], facts: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Numbers change hands: what was said under another account is not ticked for the person who has it today."""
    try:
        customer = contacts.customer(service, asked)
    except DirectoryUnavailableError:
        return dict.fromkeys(facts, "directory_unavailable")
    today = customer.account if customer else None

    def doubt(then: str | None) -> str | None:
        if then is None:
            return "account_unknown"
        return None if then == today else "account_changed"

    return {one: doubt(fact.get("account")) for one, fact in facts.items()}


def _rows(service: Service, asked: dict[str, Any], now: datetime) -> Iterable[Recording]:
    if "call" in asked:
        with service.database.read() as connection:
            call_id = _call_id(service, connection, asked["call"])
            return recordings.of_call(connection, call_id) if call_id else []
    ((kind, value),) = asked.items()
    marks = [mark(key, kind, value) for key in service.keyring.search_keys(now)]
    with service.database.read() as connection:
        return recordings.find_marked(connection, marks) if marks else []


def _begun(recording: Recording, until: datetime) -> bool:
    return recording.call_started_at is None or recording.call_started_at <= until


def _underway(service: Service, asked: dict[str, Any], now: datetime, until: datetime) -> dict[str, dict[str, Any]]:
    """What is not stored yet of that number or account: no mark finds it, so each one is opened."""
    if "call" in asked:
        return {}
    ((kind, value),) = asked.items()
    facts = ((one.id, _facts(service, one, now)) for one in _waiting(service) if _begun(one, until))
    return {one: fact for one, fact in facts if fact.get(kind) == value}


def _waiting(service: Service) -> Iterator[Recording]:
    """What is not stored yet, one page in memory at a time, and what has been stored since the ids were read."""
    with service.database.read() as connection:
        ids = recordings.ids_in_states(connection, TO_BE_STORED)
    for first in range(0, len(ids), PAGE):
        with service.database.read() as connection:
            page = recordings.many(connection, ids[first : first + PAGE])
        yield from (one for one in page if one.state in {"stored", *TO_BE_STORED})


def _call_id(service: Service, connection: Connection, named: str) -> str | None:
    """By our id of a call or a recording, or by a platform's id of a call."""
    recording = recordings.get(connection, named)
    if recording is not None:
        return recording.call_id
    if calls.get(connection, named) is not None:
        return named
    for platform in service.platforms:
        call = calls.by_ref(connection, inbox.ref(service.keyring, platform, named))
        if call is not None:
            return call.id
    return None


def _facts(service: Service, recording: Recording, now: datetime) -> dict[str, Any]:
    with service.database.read() as connection:
        call = calls.get(connection, recording.call_id)
    if call is None:
        return {}
    known = personal.left_of(service, call, recording, now)
    known.setdefault("phone", personal.customer_number(recording.direction or call.direction, known))
    return known
