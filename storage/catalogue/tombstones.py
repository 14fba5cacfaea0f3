"""What is left of an erased recording: class, reason, random ids, days. Never a time of the call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select

from storage.tables import metadata

_tombstones = metadata.tables["tombstones"]


@dataclass(frozen=True)
class Tombstone:
    """The facts of a certificate. The caller has already cut the times to what may be kept."""

    recording_id: str
    certificate_id: str
    segment: str | None
    reason: str
    ordered_by: str
    due_at: datetime | None
    key_destroyed_at: datetime | None
    erased_at: datetime
    verified_at: datetime | None
    objects_deleted: int
    unreadable_from: str | None  # yyyymmdd


def insert_all(connection: Connection, stones: Iterable[Tombstone]) -> None:
    rows = [vars(stone) for stone in stones]
    if rows:
        connection.execute(insert(_tombstones), rows)


def find(connection: Connection, some_id: str) -> Tombstone | None:
    """By the recording's id or the certificate's."""
    query = select(_tombstones).where(
        or_(_tombstones.c.recording_id == some_id, _tombstones.c.certificate_id == some_id)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Tombstone(**row)
