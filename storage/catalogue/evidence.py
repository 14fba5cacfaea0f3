"""Rows of what was said and done in a call: consents, parties, and the edges of recorded spans.

They are evidence: rows are added and read as a set, and never changed, except to move them to another call, or to write
down a time that will soon not be known any more. All of them go with their call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Connection, bindparam, cast, insert, select, type_coerce, update

from storage.catalogue.among import among
from storage.clock import Instant
from storage.tables import metadata

consents = metadata.tables["consents"]
parties = metadata.tables["parties"]
spans = metadata.tables["spans"]
recordings = metadata.tables["recordings"]


@dataclass(frozen=True)
class Consent:
    """One answer to the question. `sealed` (the agent) is opened under the call key."""

    id: str
    call_id: str
    decision: str
    received_at: datetime
    recording_id: str | None = None
    method: str | None = None
    at: datetime | None = None
    clock: str = "platform"
    offset_ms: int | None = None
    digit: str | None = None
    script: str | None = None
    purposes: list[str] | None = None
    language: str | None = None
    confidence: float | None = None
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Party:
    """Somebody came (`joined_at`) or went (`left_at`). `sealed` (the number) is opened under the call key."""

    id: str
    call_id: str
    role: str
    leg_id: str | None = None
    joined_at: datetime | None = None
    left_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Edge:
    """One edge of a span; without a recording it holds for every recording of the call."""

    id: str
    call_id: str
    edge: str
    received_at: datetime
    recording_id: str | None = None
    at: datetime | None = None
    clock: str = "platform"


_MOVE_CONSENT = update(consents).where(consents.c.id == bindparam("consent"))
_MOVE_EDGES = update(spans).where(spans.c.recording_id == bindparam("recording"))
_OFFSET_US = cast(consents.c.offset_ms, BigInteger) * 1000
_TIMED_AT = (
    select(type_coerce(recordings.c.started_at, BigInteger) + _OFFSET_US)
    .where(recordings.c.id == consents.c.recording_id)
    .scalar_subquery()
)
_TIME = update(consents).values(at=type_coerce(_TIMED_AT, Instant), clock="platform", offset_ms=None, recording_id=None)
_CALLS: BindParameter[Any] = bindparam("calls", expanding=True)
_CONSENTS = select(consents).where(consents.c.call_id.in_(_CALLS)).order_by(consents.c.received_at, consents.c.id)
_PARTIES = select(parties).where(parties.c.call_id.in_(_CALLS)).order_by(parties.c.id)
_EDGES = select(spans).where(spans.c.call_id.in_(_CALLS)).order_by(spans.c.received_at, spans.c.id)


def add_consent(connection: Connection, consent: Consent) -> None:
    connection.execute(insert(consents), vars(consent))


def consents_of(connection: Connection, call_ids: Collection[str]) -> list[Consent]:
    """In the order in which they came in."""
    found = connection.execute(_CONSENTS, {"calls": list(call_ids)})
    return [Consent(**row) for row in found.mappings()]


def time_answers(connection: Connection, call_ids: Collection[str], recording_ids: Collection[str]) -> None:
    """Let these calls' answers given as an offset into these recordings keep their time when the recordings go."""
    given = consents.c.offset_ms.is_not(None) & among(consents.c.recording_id, recording_ids)
    connection.execute(_TIME.where(among(consents.c.call_id, call_ids), given))


def add_party(connection: Connection, party: Party) -> None:
    connection.execute(insert(parties), vars(party))


def parties_of(connection: Connection, call_ids: Collection[str]) -> list[Party]:
    found = connection.execute(_PARTIES, {"calls": list(call_ids)})
    return [Party(**row) for row in found.mappings()]


def add_edge(connection: Connection, edge: Edge) -> None:
    connection.execute(insert(spans), vars(edge))


def edges_of(connection: Connection, call_ids: Collection[str]) -> list[Edge]:
    found = connection.execute(_EDGES, {"calls": list(call_ids)})
    return [Edge(**row) for row in found.mappings()]


def move_consent(connection: Connection, consent_id: str, call_id: str, sealed: bytes) -> None:
    """Put a consent into the call it was given in; `sealed` is its secret part under that call's key."""
    connection.execute(_MOVE_CONSENT, {"consent": consent_id, "call_id": call_id, "sealed": sealed})


def move_edges(connection: Connection, recording_id: str, call_id: str) -> None:
    """Put the edges of a recording into the call it belongs to."""
    connection.execute(_MOVE_EDGES, {"recording": recording_id, "call_id": call_id})
