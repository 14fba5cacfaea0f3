"""Moves a recording's secrets to another day's key: compare-and-set, so that of two holds at once neither is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, func, select

from storage.catalogue import calls, capturing, recordings
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.errors import ConflictError
from storage.tables import metadata

_recordings = metadata.tables["recordings"]


@dataclass(frozen=True)
class Move:
    """A data key, its marks, and where needed its call's key, wrapped anew but not yet in place."""

    key_id: str
    day: date
    dek: bytes = field(repr=False)
    marks: Mapping[str, bytes] = field(repr=False)
    call_key_id: str | None = None  # None: the call's key stays where it is
    call_key: bytes | None = field(default=None, repr=False)


def apply(connection: Connection, recording: Recording, call: Call | None, move: Move) -> None:
    """Put a move in place. Raises `ConflictError` where the recording, the call or a key has changed since it was made.

    The caller has made sure in the same transaction that the keys still take new wraps.
    """
    day = f"{move.day:%Y%m%d}"
    was = {"state": "stored", "key_id": recording.key_id, "dek": recording.dek}
    new = {"key_id": move.key_id, "dek": move.dek, "expiry_day": day}
    if not recordings.change(connection, recording.id, when=was, **new):
        raise ConflictError("the recording changed")
    if call is not None and move.call_key_id is not None:
        was = {"key_id": call.key_id, "call_key": call.call_key}
        if not calls.change(connection, call.id, when=was, key_id=move.call_key_id, call_key=move.call_key):
            raise ConflictError("the call changed")
    recordings.index_marks(connection, recording.id, move.marks)
    capturing.note_key_use(connection, recording.id, day)


def latest_day_of_others(connection: Connection, recording: Recording) -> str | None:
    """The latest key day (`yyyymmdd`) among the other stored recordings of the same call."""
    query = select(func.max(_recordings.c.expiry_day)).where(
        _recordings.c.call_id == recording.call_id,
        _recordings.c.id != recording.id,
        _recordings.c.state == "stored",
    )
    latest: str | None = connection.execute(query).scalar_one()
    return latest
