"""Who listened to a recording, when and why. Goes with the recording."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from storage.clock import new_id
from storage.tables import metadata

listenings = metadata.tables["listenings"]


@dataclass(frozen=True)
class Listened:
    """`actor` is a random id; the person the recording is about is shown role and purpose only."""

    id: str
    recording_id: str
    actor: str
    role: str
    purpose: str
    at: datetime


def add(connection: Connection, recording_id: str, actor: str, role: str, purpose: str, now: datetime) -> Listened:
    one = Listened(new_id("lis"), recording_id, actor, role, purpose, now)
    connection.execute(listenings.insert().values(**vars(one)))
    return one


def noted_since(connection: Connection, recording_id: str, actor: str, purpose: str, moment: datetime) -> bool:
    statement = select(listenings.c.id).where(
        listenings.c.recording_id == recording_id,
        listenings.c.actor == actor,
        listenings.c.purpose == purpose,
        listenings.c.at > moment,
    )
    return connection.execute(statement.limit(1)).first() is not None


def of_recording(connection: Connection, recording_id: str) -> list[Listened]:
    """In the order in which they happened."""
    statement = select(listenings).where(listenings.c.recording_id == recording_id)
    rows = connection.execute(statement.order_by(listenings.c.at, listenings.c.id))
    return [Listened(**row._asdict()) for row in rows]
