"""Uploads of renditions: on record before their first byte, so that whatever was written can be found and erased."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from storage.tables import metadata

attempts = metadata.tables["attempts"]


@dataclass(frozen=True)
class Attempt:
    """One rendition of one attempt. `open` is being written, `kept` is read from, `lost` is to be erased."""

    id: str
    recording_id: str
    number: int
    rendition: str
    object_key: str
    created_at: datetime
    upload_id: str | None = None
    state: str = "open"
    head: bytes | None = field(default=None, repr=False)
    plain_bytes: int | None = None
    sealed_bytes: int | None = None
    content_type: str | None = None


def add(connection: Connection, *rows: Attempt) -> None:
    connection.execute(insert(attempts), [asdict(row) for row in rows])


def keep(connection: Connection, attempt: Attempt) -> None:
    """Say that a rendition is whole and read from now on."""
    connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(asdict(attempt) | {"state": "kept"}))


def kept(connection: Connection, recording_id: str) -> dict[str, Attempt]:
    """The renditions of a stored recording by name."""
    statement = select(attempts).where(attempts.c.recording_id == recording_id, attempts.c.state == "kept")
    found = [Attempt(**row) for row in connection.execute(statement).mappings()]
    return {attempt.rendition: attempt for attempt in found}


def begin(connection: Connection, attempt: Attempt) -> None:
    """Say which upload is about to take a rendition's first byte."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt.id)
        .values(upload_id=attempt.upload_id, content_type=attempt.content_type)
    )


def lose(connection: Connection, recording_id: str, *, kept: bool, but: Collection[str] = ()) -> None:
    """Give up the open attempts at a recording and, with `kept`, those read from, except the ones with these ids."""
    states = ("open", "kept") if kept else ("open",)
    given_up = (
        attempts.c.recording_id == recording_id,
        attempts.c.state.in_(states),
        attempts.c.id.not_in(list(but)),
    )
    connection.execute(update(attempts).where(*given_up).values(state="lost"))


def unused(connection: Connection, ids: Collection[str]) -> None:
    """Say that of these, the ones not begun never will be: there is nothing to erase."""
    connection.execute(
        update(attempts).where(attempts.c.id.in_(list(ids)), attempts.c.upload_id.is_(None)).values(state="gone")
    )


def lose_these(connection: Connection, ids: Collection[str]) -> None:
    """Give up attempts that nobody reads from."""
    connection.execute(
        update(attempts).where(attempts.c.id.in_(list(ids)), attempts.c.state == "open").values(state="lost")
    )


def lost(connection: Connection, limit: int, *, recording_id: str | None = None) -> list[Attempt]:
    """Attempts whose objects are still to be erased."""
    statement = select(attempts).where(attempts.c.state == "lost").limit(limit)
    if recording_id is not None:
        statement = statement.where(attempts.c.recording_id == recording_id)
    return [Attempt(**row) for row in connection.execute(statement).mappings()]


def gone(connection: Connection, ids: Collection[str]) -> None:
    """Say that nothing is left of these. Their rows stay until the erasure, which looks once more."""
    connection.execute(update(attempts).where(attempts.c.id.in_(list(ids))).values(state="gone", head=None))
