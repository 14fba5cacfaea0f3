"""Recordings that wait to be captured, looked at again, or cut narrower; and what is written when they are stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, or_

from storage.catalogue import recordings
from storage.catalogue.recordings import RECORDING, Recording
from storage.catalogue.upsert import insert_new
from storage.tables import metadata

_recordings = metadata.tables["recordings"]
_key_uses = metadata.tables["key_uses"]

IDLE = ("announced", "stored")  # states in which `next_try_at` says when to look again


_NOW = bindparam("now", type_=_recordings.c.next_try_at.type)
_DUE = (
    RECORDING.where(
        or_(
            _recordings.c.state == "capturing",
            and_(
                _recordings.c.state == "announced",
                or_(_recordings.c.next_try_at <= _NOW, _recordings.c.next_try_at.is_(None)),
            ),
            and_(_recordings.c.state == "stored", _recordings.c.next_try_at <= _NOW),
        ),
        or_(_recordings.c.lease_until.is_(None), _recordings.c.lease_until <= _NOW),
    )
    .order_by(_recordings.c.next_try_at)
    .limit(bindparam("limit"))
)


def due(connection: Connection, now: datetime, limit: int) -> list[Recording]:
    """Recordings to work on now: longest due first."""
    return [Recording(*row) for row in connection.execute(_DUE, {"now": now, "limit": limit})]


def wait(connection: Connection, recording: Recording, until: datetime) -> None:
    """Leave a recording alone until then, unless somebody has begun to work on it since it was read."""
    idle = "announced" if recording.state == "capturing" else recording.state
    as_read = {"state": (recording.state, idle), "lease": recording.lease}
    free = {"state": idle, "lease": None, "lease_until": None}
    recordings.change(connection, recording.id, when=as_read, **free, next_try_at=until)


def is_free(recording: Recording, now: datetime) -> bool:
    """Whether nobody is at work on it: never begun, given back, or its worker's lease has run out."""
    return recording.lease_until is None or recording.lease_until <= now


def note_key_use(connection: Connection, recording_id: str, day: str) -> None:
    """Remember that this day's key has wrapped the recording's data key."""
    insert_new(connection, _key_uses, [{"recording_id": recording_id, "day": day}], conflict=["recording_id", "day"])
