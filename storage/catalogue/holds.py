"""Holds: what keeps a recording past its day, who placed it, and when somebody must look again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from storage.catalogue.among import among
from storage.tables import metadata

_holds = metadata.tables["holds"]


@dataclass(frozen=True)
class Hold:
    id: str
    recording_id: str
    kind: str  # access | legal | dispute | restriction
    request_id: str | None
    reason: str | None
    placed_by: str
    placed_at: datetime
    review_at: datetime
    released_at: datetime | None = None
    released_by: str | None = None


_STANDING = (
    select(_holds)
    .where(_holds.c.recording_id.in_(bindparam("recordings", expanding=True)), _holds.c.released_at.is_(None))
    .order_by(_holds.c.placed_at, _holds.c.id)
)


def add(connection: Connection, hold: Hold) -> None:
    """Keep a hold; the caller counts it on the recording's row in the same transaction."""
    connection.execute(insert(_holds).values(asdict(hold)))


def get(connection: Connection, hold_id: str) -> Hold | None:
    row = connection.execute(select(_holds).where(_holds.c.id == hold_id)).mappings().first()
    return None if row is None else Hold(**row)


def standing(connection: Connection, recording_ids: Sequence[str]) -> dict[str, list[Hold]]:
    """The holds that are not released, by recording, oldest first."""
    found: defaultdict[str, list[Hold]] = defaultdict(list)
    for row in connection.execute(_STANDING, {"recordings": list(recording_ids)}).mappings():
        found[row["recording_id"]].append(Hold(**row))
    return found


def of_request(connection: Connection, request_id: str) -> list[Hold]:
    """A request's holds that are not released."""
    query = select(_holds).where(_holds.c.request_id == request_id, _holds.c.released_at.is_(None))
    return [Hold(**row) for row in connection.execute(query).mappings()]


def due_for_review(connection: Connection, now: datetime, limit: int) -> list[Hold]:
    query = (
        select(_holds)
        .where(_holds.c.review_at <= now, _holds.c.released_at.is_(None))
        .order_by(_holds.c.review_at)
        .limit(limit)
    )
    return [Hold(**row) for row in connection.execute(query).mappings()]


def release(connection: Connection, hold_id: str, by: str, now: datetime) -> bool:
    """End a hold; False where it was released already."""
    return bool(_release(connection, _holds.c.id == hold_id, by, now))


def release_all(connection: Connection, recording_ids: Sequence[str], by: str, now: datetime) -> list[Hold]:
    """End every hold of recordings that are being erased; returns those."""
    return _release(connection, among(_holds.c.recording_id, recording_ids), by, now)


def postpone(connection: Connection, hold: Hold, review_at: datetime) -> bool:
    """Move the review, unless the hold was released or moved meanwhile."""
    statement = (
        update(_holds)
        .where(_holds.c.id == hold.id, _holds.c.review_at == hold.review_at, _holds.c.released_at.is_(None))
        .values(review_at=review_at)
    )
    return connection.execute(statement).rowcount == 1


def _release(connection: Connection, which: ColumnElement[bool], by: str, now: datetime) -> list[Hold]:
    statement = update(_holds).where(which, _holds.c.released_at.is_(None)).values(released_at=now, released_by=by)
    return [Hold(**row) for row in connection.execute(statement.returning(_holds)).mappings()]
