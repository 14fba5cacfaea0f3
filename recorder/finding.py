"""Finding and looking at recordings: by whom, by what, and what of it they get to see. Opens sealed columns.

The data protection officer finds by everything. Reviewers and agents find by agent, queue and case, never by who the
customer is, and are not shown it either; agents must say which of these they look for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recorder import cursors, personal, phones
from recorder.actors import Actor
from recorder.calls.family import Family
from recorder.cursors import PAGE
from recorder.errors import ForbiddenError, InvalidInputError, RecordingNotFoundError
from recorder.ports import Service
from recorder.segments import SEGMENTS
from storage.catalogue import calls, evidence, holds, recordings
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent
from storage.catalogue.holds import Hold
from storage.catalogue.recordings import Recording
from storage.columns import marks

STATES = ("announced", "capturing", "stored", "erasing", "failed", "discarded")
ABOUT_THE_CUSTOMER = ("phone", "account")
NUMBERS = ("from", "to")  # shown as the customer's one, or not at all
LONGEST_VALUE = 200


@dataclass(frozen=True)
class Query:
    """What to look for. Carries personal data: never logged, never in an address."""

    phone: str | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)
    agent: str | None = field(default=None, repr=False)
    case: str | None = field(default=None, repr=False)
    queue: str | None = None
    segment: str | None = None
    state: str | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A recording with what this reader may know of it. `personal` is opened from its sealed column."""

    recording: Recording
    personal: dict[str, Any] = field(repr=False)  # by the names in `/openapi.json`: phone, account, agent, case, …
    consent: Consent | None
    holds: Sequence[Hold] = ()


Dressed = tuple[Found, Call | None]


@dataclass(frozen=True)
class FoundPage:
    items: list[Found]
    next: str | None


def search(
    service: Service, query: Query, *, actor: Actor, now: datetime, cursor: str | None = None, limit: int = PAGE
) -> FoundPage:
    """Recordings by the start of their call, newest first. Past its time a recording is found by nobody.

    Following the cursors meets, once, everything that is there all the while, whatever else comes or goes; a page with
    fewer than `limit` need not be the last. Raises `ForbiddenError` where the role may not look for that,
    `InvalidInputError` naming the field, `CursorError` for a cursor that continues another search.
    """
    query = _checked(query)
    allow(actor, query)
    asked = json.dumps(vars(query), default=str, sort_keys=True)
    after = cursors.read(service, asked, cursor)
    marked = _marks(service, query, now)
    wanted = recordings.Filter(
        state=query.state,
        segment=query.segment,
        queue=query.queue,
        started_from=query.started_from,
        started_to=query.started_to,
        marked=marked,
    )
    with service.database.read() as connection:
        page = recordings.search(connection, wanted, limit=limit, after=after)
        rows = [row for row in page.items if not past(row, now)]
        found = _dressed(connection, rows)
    items = [_for_reader(service, one, actor, now) for one in found]
    return FoundPage(items, cursors.written(service, asked, page.next))


def look(service: Service, recording_id: str, *, actor: Actor, now: datetime) -> Found:
    """One recording. Raises `RecordingNotFoundError`, also past its time."""
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
        if row is None or past(row, now):
            raise RecordingNotFoundError
        (found,) = _dressed(connection, [row])
    return _for_reader(service, found, actor, now)


def past(recording: Recording, now: datetime) -> bool:
    """Whether its time is over and nothing holds it: from that second on it is shown to nobody."""
    return recording.expires_at is not None and recording.expires_at <= now and not recording.holds


def allow(actor: Actor, query: Query) -> None:
    if actor.role != "dpo" and any(getattr(query, name) for name in ABOUT_THE_CUSTOMER):
        raise ForbiddenError
    if actor.role == "agent" and not (query.agent or query.queue or query.case):
        raise ForbiddenError


def _checked(query: Query) -> Query:
    for name in (*personal.MARKED, "queue"):
        value = getattr(query, name)
        if value is not None and len(value) > LONGEST_VALUE:
            raise InvalidInputError(f"{name} is too long")
    if query.segment is not None and query.segment not in SEGMENTS:
        raise InvalidInputError("segment is not one of " + ", ".join(SEGMENTS))
    if query.state is not None and query.state not in STATES:
        raise InvalidInputError("state is not one of " + ", ".join(STATES))
    if query.phone is None:
        return query
    phone = phones.normalise(query.phone)
    if phone is None:
        raise InvalidInputError("phone is not a telephone number")
    return replace(query, phone=phone)


def _marks(service: Service, query: Query, now: datetime) -> list[list[bytes]]:
    wanted = [(name, value) for name in personal.MARKED if (value := getattr(query, name))]
    if not wanted:
        return []
    keys = service.keyring.search_keys(now)
    return [marks(keys, name, value) for name, value in wanted]


def _dressed(connection: Connection, rows: Sequence[Recording]) -> list[Dressed]:
    standing = holds.standing(connection, [row.id for row in rows])
    of_calls = {row.call_id for row in rows}
    said = evidence.consents_of(connection, of_calls) if rows else []
    yes = {one.call_id: one for one in said if one.decision == "granted"}
    its_call = calls.many(connection, of_calls) if rows else {}
    return [(Found(row, {}, yes.get(row.call_id), standing.get(row.id, [])), its_call.get(row.call_id)) for row in rows]


def _for_reader(service: Service, dressed: Dressed, actor: Actor, now: datetime) -> Found:
    found, call = dressed
    opened = {} if call is None else personal.left_of(service, call, found.recording, now)
    known: dict[str, Any] = dict.fromkeys(personal.MARKED) | opened
    known["phone"] = known["phone"] or personal.customer_number(found.recording.direction, known)
    hidden = NUMBERS if actor.role == "dpo" else (*NUMBERS, *ABOUT_THE_CUSTOMER)
    shown = {name: value for name, value in known.items() if name not in hidden}
    return replace(found, personal=shown, consent=found.consent or _of_a_linked_call(service, found, call, now))


def _of_a_linked_call(service: Service, found: Found, call: Call | None, now: datetime) -> Consent | None:
    """The yes a stored recording is kept by, where none was given in its own call."""
    if call is None or found.recording.state != "stored":
        return None
    with service.database.read() as connection:
        return Family(connection, call).yes(service, now)
