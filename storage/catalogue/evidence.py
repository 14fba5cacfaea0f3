"""Rows of what was said and done in a call: consents, parties, and the edges of recorded spans.

They are evidence: rows are added and read as a set, and never changed, except to move them to another call. All of
them go with their call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from storage.tables import metadata

consents = metadata.tables["consents"]
parties = metadata.tables["parties"]
spans = metadata.tables["spans"]


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
