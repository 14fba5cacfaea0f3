"""Rows of recordings: found, locked, listed page by page, and changed only from the state they are thought to be in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, or_, select, update

from storage.catalogue.among import among
from storage.catalogue.still import narrowed
from storage.catalogue.upsert import insert_new
from storage.tables import metadata

recordings = metadata.tables["recordings"]
marks = metadata.tables["marks"]

Position = tuple[datetime, str]  # where a page of a list ended: the sort value and id of its last item


@dataclass(frozen=True)
class Recording:
    """One recording's row, whole. `sealed` is opened under the DEK, or under the call key while there is no DEK."""

    id: str
    call_id: str
    platform: str
    ref: bytes | None = field(default=None, repr=False)
    segment: str | None = None
    direction: str | None = None
    queue: str | None = None
    state: str = "announced"
    reason: str | None = None
    by_answer: bool = False
    maybe_by_answer: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    available_at: datetime | None = None
    call_started_at: datetime | None = None
    call_ended_at: datetime | None = None
    expires_at: datetime | None = None
    expiry_day: str | None = None
    stored_at: datetime | None = None
    holds: int = 0
    spans: dict[str, Any] | None = None
    channels: int | None = None
    duration_ms: int | None = None
    size_bytes: int | None = None
    content_type: str | None = None
    attempt: int = 0
    tries: int = 0
    next_try_at: datetime | None = None
    lease: str | None = None
    lease_until: datetime | None = None
    key_id: str | None = None
    dek: bytes | None = field(default=None, repr=False)
    sealed: bytes | None = field(default=None, repr=False)
    erase_reason: str | None = None
    erase_ordered_by: str | None = None
    erase_due_at: datetime | None = None
    erasing_since: datetime | None = None
    certificate_id: str | None = None


@dataclass(frozen=True)
class Filter:
    """What to list. Each entry of `marked` is one wanted value as its mark under every live day key."""

    state: str | None = None
    segment: str | None = None
    queue: str | None = None
    call_id: str | None = None
    started_from: datetime | None = None  # of the call, inclusive
    started_to: datetime | None = None  # exclusive
    marked: Sequence[Sequence[bytes]] = ()


@dataclass(frozen=True)
class Page:
    items: list[Recording]
    next: Position | None


RECORDING = select(*(recordings.c[name] for name in Recording.__dataclass_fields__))
_BY_ID = RECORDING.where(recordings.c.id == bindparam("recording"))
_BY_REF = RECORDING.where(recordings.c.ref == bindparam("recording_ref"))
_LOCK_BY_ID = _BY_ID.with_for_update()
_LOCK_OF_CALL = _BY_REF.where(recordings.c.call_id == bindparam("call")).with_for_update()
_OF_CALL = RECORDING.where(recordings.c.call_id == bindparam("call")).order_by(recordings.c.id)
_CHANGE = update(recordings).where(recordings.c.id == bindparam("recording"))
_CHANGE_OF_CALL = update(recordings).where(recordings.c.call_id == bindparam("call"))
_REMOVE_MARKS = delete(marks).where(marks.c.recording_id == bindparam("recording"))


def get(connection: Connection, recording_id: str) -> Recording | None:
    return _one(connection, _BY_ID, recording=recording_id)


def lock(connection: Connection, recording_id: str) -> Recording | None:
    """The recording, its row locked until the transaction ends. Lock its call first."""
    return _one(connection, _LOCK_BY_ID, recording=recording_id)


def by_ref(connection: Connection, ref: bytes) -> Recording | None:
    return _one(connection, _BY_REF, recording_ref=ref)


def lock_by_ref(connection: Connection, ref: bytes, call_id: str) -> Recording | None:
    """The same, locked as by `lock`; None, and nothing locked, where it is not this call's."""
    return _one(connection, _LOCK_OF_CALL, recording_ref=ref, call=call_id)


def of_call(connection: Connection, call_id: str) -> list[Recording]:
    return [Recording(*row) for row in connection.execute(_OF_CALL, {"call": call_id})]


def insert(connection: Connection, recording: Recording) -> bool:
    """Add a recording. False where one with its ref is already there."""
    return bool(insert_new(connection, recordings, [vars(recording)], conflict=["ref"]))


def change(
    connection: Connection, recording_id: str, *, when: Mapping[str, object] | None = None, **values: object
) -> bool:
    """Set columns; with `when`, only if these columns still hold these values (a tuple: one of them).

    Returns whether it did. Every step of a recording's life names the state, attempt or lease it starts from.
    """
    statement, expected = narrowed(_CHANGE, recordings, when or {})
    return connection.execute(statement, {"recording": recording_id, **expected, **values}).rowcount == 1


def change_of_call(
    connection: Connection, call_id: str, *, when: Mapping[str, object] | None = None, **values: object
) -> int:
    """The same for every recording of a call; returns how many it changed."""
    statement, expected = narrowed(_CHANGE_OF_CALL, recordings, when or {})
    return connection.execute(statement, {"call": call_id, **expected, **values}).rowcount


def look_again(connection: Connection, call_ids: Collection[str], at: datetime) -> None:
    """Have the waiting and stored recordings of these calls decided on anew, at a given time."""
    waiting = recordings.c.call_id.in_(call_ids) & recordings.c.state.in_(("announced", "capturing", "stored"))
    locked = select(recordings.c.id).where(waiting).order_by(recordings.c.id).with_for_update()
    ids = list(connection.execute(locked).scalars())
    connection.execute(update(recordings).where(recordings.c.id.in_(ids)).values(next_try_at=at))


def search(connection: Connection, wanted: Filter, *, limit: int = 50, after: Position | None = None) -> Page:
    """Recordings by the start of their call, newest first; `after` is where the page before ended."""
    statement = _matching(wanted)
    if after is not None:
        moment, recording_id = after
        statement = statement.where(
            recordings.c.call_started_at <= moment,
            or_(recordings.c.call_started_at < moment, recordings.c.id < recording_id),
        )
    statement = statement.order_by(recordings.c.call_started_at.desc(), recordings.c.id.desc()).limit(limit + 1)
    found = [Recording(*row) for row in connection.execute(statement)]
    last = found[limit - 1] if len(found) > limit else None
    onward = (last.call_started_at, last.id) if last is not None and last.call_started_at is not None else None
    return Page(found[:limit], onward)


def ids_in_states(connection: Connection, states: Collection[str]) -> list[str]:
    """The ids of all recordings in these states; only for states that few are in."""
    return list(connection.execute(select(recordings.c.id).where(recordings.c.state.in_(list(states)))).scalars())


def many(connection: Connection, recording_ids: Collection[str]) -> list[Recording]:
    return [Recording(*row) for row in connection.execute(RECORDING.where(among(recordings.c.id, recording_ids)))]


def kept_of(connection: Connection, segment: str, after: str, limit: int, *, lock: bool = False) -> list[Recording]:
    """The next stored recordings of a class, in the order of their ids; with `lock`, their rows are locked."""
    statement = RECORDING.where(
        recordings.c.state == "stored", recordings.c.segment == segment, recordings.c.id > after
    ).order_by(recordings.c.id)
    statement = statement.limit(limit).with_for_update() if lock else statement.limit(limit)
    return [Recording(*row) for row in connection.execute(statement)]


def index_marks(connection: Connection, recording_id: str, found_by: Mapping[str, bytes]) -> None:
    """Make a recording findable by these marks (kind → mark) and by no others."""
    remove_marks(connection, recording_id)
    rows = [{"mark": mark, "recording_id": recording_id, "kind": kind} for kind, mark in found_by.items()]
    if rows:
        insert_new(connection, marks, rows, conflict=["mark", "recording_id"])


def remove_marks(connection: Connection, recording_id: str) -> None:
    connection.execute(_REMOVE_MARKS, {"recording": recording_id})


def find_marked(connection: Connection, wanted: Iterable[bytes], *, state: str | None = "stored") -> list[Recording]:
    """Every recording that carries one of the marks, by the start of its call, oldest first."""
    statement = _matching(Filter(state=state, marked=[list(wanted)]))
    statement = statement.order_by(recordings.c.call_started_at, recordings.c.id)
    return [Recording(*row) for row in connection.execute(statement)]


def _matching(wanted: Filter) -> Select[tuple[Any, ...]]:
    statement: Select[tuple[Any, ...]] = RECORDING
    for column in ("state", "segment", "queue", "call_id"):
        value = getattr(wanted, column)
        if value is not None:
            statement = statement.where(recordings.c[column] == value)
    if wanted.started_from is not None:
        statement = statement.where(recordings.c.call_started_at >= wanted.started_from)
    if wanted.started_to is not None:
        statement = statement.where(recordings.c.call_started_at < wanted.started_to)
    for alternatives in wanted.marked:
        carrying = select(marks.c.recording_id).where(marks.c.mark.in_(list(alternatives)))
        statement = statement.where(recordings.c.id.in_(carrying))
    return statement


def _one(connection: Connection, statement: Select[tuple[Any, ...]], **parameters: object) -> Recording | None:
    row = connection.execute(statement, parameters).first()
    return None if row is None else Recording(*row)
