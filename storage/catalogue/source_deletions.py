"""Copies that still lie at a platform, each with what is needed to delete it there."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, update

from storage.catalogue.upsert import insert_new
from storage.tables import metadata

source_deletions = metadata.tables["source_deletions"]

FIXED = frozenset(["recording_ref", "recording_id"])  # a copy that turns up again is still that copy, of that recording


@dataclass(frozen=True)
class SourceDeletion:
    """`body` (the platform's ids and address) is wrapped by the inbox key `key_id` names."""

    id: str
    recording_ref: bytes = field(repr=False)
    platform: str
    reason: str
    created_at: datetime
    next_try_at: datetime
    recording_id: str | None = None
    state: str = "new"
    tries: int = 0
    key_id: str | None = None
    body: bytes | None = field(default=None, repr=False)
    done_at: datetime | None = None


def add(connection: Connection, deletion: SourceDeletion) -> bool:
    """Note a copy to be deleted; False where that copy is noted already."""
    return bool(insert_new(connection, source_deletions, [asdict(deletion)], conflict=["recording_ref"]))


def add_again(connection: Connection, deletion: SourceDeletion) -> None:
    """Note a copy that has turned up; if its deletion was done or given up, it is to be deleted once more."""
    if add(connection, deletion):
        return
    again = {name: value for name, value in asdict(deletion).items() if name not in FIXED}
    finished = source_deletions.c.recording_ref == deletion.recording_ref, source_deletions.c.state != "new"
    connection.execute(update(source_deletions).where(*finished).values(**again))


def claim(connection: Connection, now: datetime, until: datetime) -> SourceDeletion | None:
    """Take the copy that has been due longest, until `until`; None where nothing is due.

    This counts as a try, and the number of tries serves as the lease: a worker that comes late can `change` nothing.
    """
    due = (
        select(source_deletions.c.id)
        .where(source_deletions.c.state == "new", source_deletions.c.next_try_at <= now)
        .order_by(source_deletions.c.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = (
        update(source_deletions)
        .where(source_deletions.c.id.in_(select(due.c.id)))
        .values(next_try_at=until, tries=source_deletions.c.tries + 1)
        .returning(*source_deletions.c)
    )
    row = connection.execute(taken).mappings().first()
    return None if row is None else SourceDeletion(**row)


def forget_before(connection: Connection, moment: datetime, limit: int = 1000) -> int:
    """Forget at most `limit` copies that were deleted or given up, noted before a moment; call until it returns 0."""
    old = source_deletions.c.created_at < moment, source_deletions.c.state != "new"
    ids = select(source_deletions.c.id).where(*old).limit(limit)
    return connection.execute(delete(source_deletions).where(source_deletions.c.id.in_(ids))).rowcount


def leave_to_people(connection: Connection, some_id: str) -> None:
    """Stop trying to delete a copy, named by its own id or its recording's; where it lies is forgotten."""
    named = or_(source_deletions.c.id == some_id, source_deletions.c.recording_id == some_id)
    waiting = update(source_deletions).where(named, source_deletions.c.state == "new")
    connection.execute(waiting.values(state="failed", body=None, key_id=None))


def change(connection: Connection, before: SourceDeletion, **values: object) -> bool:
    """Set columns if the deletion is still as it was read; False where another worker has moved on with it."""
    statement = (
        update(source_deletions)
        .where(
            source_deletions.c.id == before.id,
            source_deletions.c.state == before.state,
            source_deletions.c.tries == before.tries,
        )
        .values(**values)
    )
    return connection.execute(statement).rowcount == 1
