"""Recordings that wait to be captured, looked at again, or cut narrower; and what is written when they are stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from storage.catalogue.recordings import Recording
from storage.catalogue.upsert import insert_new
from storage.tables import metadata

_recordings = metadata.tables["recordings"]
_key_uses = metadata.tables["key_uses"]

IDLE = ("announced", "stored")  # states in which `next_try_at` says when to look again


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Recordings to work on now: longest due first."""
    rows = (
        select(_recordings.c.id)
        .where(_is_due(now), or_(_recordings.c.lease_until.is_(None), _recordings.c.lease_until <= now))
        .order_by(_recordings.c.next_try_at)
        .limit(limit)
    )
    return list(connection.execute(rows).scalars())


def is_free(recording: Recording, now: datetime) -> bool:
    """Whether nobody is at work on it: never begun, given back, or its worker's lease has run out."""
    return recording.lease_until is None or recording.lease_until <= now


def note_key_use(connection: Connection, recording_id: str, day: str) -> None:
    """Remember that this day's key has wrapped the recording's data key."""
    insert_new(connection, _key_uses, [{"recording_id": recording_id, "day": day}], conflict=["recording_id", "day"])


def _is_due(now: datetime) -> ColumnElement[bool]:
    when = or_(_recordings.c.next_try_at <= now, _recordings.c.next_try_at.is_(None))
    return or_(
        _recordings.c.state == "capturing",
        and_(_recordings.c.state == "announced", when),
        and_(_recordings.c.state == "stored", _recordings.c.next_try_at <= now),
    )
