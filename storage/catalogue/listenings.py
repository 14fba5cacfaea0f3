"""Who listened to a recording or took a copy, when and why. Goes with the recording."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

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
    act: str = "listened"  # listened | downloaded


_NOTED_SINCE = (
    select(listenings.c.id)
    .where(
        listenings.c.recording_id == bindparam("recording"),
        listenings.c.actor == bindparam("who"),
        listenings.c.purpose == bindparam("why"),
        listenings.c.act == bindparam("act"),
        listenings.c.at > bindparam("moment"),
    )
    .limit(1)
)


def add(
    connection: Connection,
    recording_id: str,
    actor: str,
    role: str,
    purpose: str,
    now: datetime,
    act: str = "listened",
) -> Listened:
    one = Listened(new_id("lis"), recording_id, actor, role, purpose, now, act)
    connection.execute(listenings.insert().values(**vars(one)))
    return one


def noted_since(
    connection: Connection, recording_id: str, actor: str, purpose: str, moment: datetime, act: str = "listened"
) -> bool:
    wanted = {"recording": recording_id, "who": actor, "why": purpose, "act": act, "moment": moment}
    return connection.execute(_NOTED_SINCE, wanted).first() is not None


def of_recording(connection: Connection, recording_id: str) -> list[Listened]:
    """In the order in which they happened."""
    statement = select(listenings).where(listenings.c.recording_id == recording_id)
    rows = connection.execute(statement.order_by(listenings.c.at, listenings.c.id))
    return [Listened(**row._asdict()) for row in rows]
