"""Uploads of renditions: recorded before their first byte, so that whatever was written can be found and erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, literal_column, select, update

from storage.catalogue.among import among
from storage.objects import HELD
from storage.tables import metadata

attempts = metadata.tables["attempts"]
_holds = metadata.tables["holds"]
_recordings = metadata.tables["recordings"]


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


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_CHANGE = update(attempts).where(attempts.c.id == bindparam("attempt"))
_OF_RECORDING = select(attempts).where(attempts.c.recording_id == bindparam("recording"))
_KEPT = _OF_RECORDING.where(attempts.c.state == "kept")
_LOST = (
    select(attempts)
    .where(attempts.c.state == literal_column("'lost'"))  # written out, as in its partial index
    .order_by(func.random())  # those that cannot be erased must not block the others for ever
    .limit(bindparam("limit"))
)
_LOST_OF_RECORDING = _OF_RECORDING.where(attempts.c.state == "lost").limit(bindparam("limit"))
_LOSE = (
    update(attempts)
    .where(
        attempts.c.recording_id == bindparam("recording"),
        attempts.c.state.in_(bindparam("states", expanding=True)),
        attempts.c.id.not_in(_IDS),
    )
    .values(state="lost")
)
_LOSE_THESE = update(attempts).where(attempts.c.id.in_(_IDS), attempts.c.state == "open").values(state="lost")
_GONE = update(attempts).where(attempts.c.id.in_(_IDS)).values(state="gone", head=None)
_NEVER = select(_recordings.c.id).where(_recordings.c.id == attempts.c.recording_id, _recordings.c.state == "discarded")
_FORGET_NEVER = delete(attempts).where(attempts.c.id.in_(_IDS), _NEVER.exists())

_AWAY = attempts.c.object_key.not_like(f"{HELD}%")
_HELD_AWAY = (
    select(attempts.c.recording_id)
    .join(_holds, _holds.c.recording_id == attempts.c.recording_id)
    .join(_recordings, _recordings.c.id == attempts.c.recording_id)
    .where(_holds.c.released_at.is_(None), _recordings.c.state == "stored", attempts.c.state == "kept", _AWAY)
    .group_by(attempts.c.recording_id)
)
_UNSHELTERED = _HELD_AWAY.order_by(func.random()).limit(bindparam("limit"))  # for the same reason as `_LOST`
_LOSE_KEPT = update(attempts).where(attempts.c.id.in_(_IDS), attempts.c.state == "kept").values(state="lost")
_LOSE_COPIES = (
    update(attempts)
    .where(attempts.c.recording_id == bindparam("recording"), attempts.c.state == "open", ~_AWAY)
    .values(state="lost")
)
_FORGET_COPIES = delete(attempts).where(
    attempts.c.recording_id == bindparam("recording"),
    attempts.c.state == "gone",
    attempts.c.created_at < bindparam("moment"),
    ~_AWAY,
)
_KNOWN = select(attempts.c.id).where(attempts.c.id.in_(_IDS))


def add(connection: Connection, *rows: Attempt) -> None:
    connection.execute(insert(attempts), [vars(row) for row in rows])


def keep(connection: Connection, rows: Iterable[Attempt]) -> None:
    """Mark these renditions as whole: they are read from now on."""
    connection.execute(_CHANGE, [{"attempt": row.id, **vars(row), "state": "kept"} for row in rows])


def kept(connection: Connection, recording_id: str) -> dict[str, Attempt]:
    """The renditions of a stored recording by name."""
    found = connection.execute(_KEPT, {"recording": recording_id}).mappings()
    return {row["rendition"]: Attempt(**row) for row in found}


def lose(connection: Connection, recording_id: str, *, kept: bool, but: Collection[str] = ()) -> None:
    """Give up a recording's open attempts, with `kept` also those read from, except the ones whose ids are in `but`."""
    states = ["open", "kept"] if kept else ["open"]
    connection.execute(_LOSE, {"recording": recording_id, "states": states, "ids": list(but)})


def lose_all(connection: Connection, recording_ids: Collection[str]) -> None:
    """Give up every open or kept attempt at recordings that will never be stored."""
    theirs = among(attempts.c.recording_id, recording_ids) & attempts.c.state.in_(("open", "kept"))
    connection.execute(update(attempts).where(theirs).values(state="lost"))


def lose_these(connection: Connection, ids: Collection[str]) -> None:
    """Give up those of these attempts that are still open: nobody reads from them."""
    connection.execute(_LOSE_THESE, {"ids": list(ids)})


def unsheltered(connection: Connection, limit: int) -> list[str]:
    """Held recordings with objects that still lie where a bucket's lifecycle rule may delete them."""
    return list(connection.execute(_UNSHELTERED, {"limit": limit}).scalars())


def still_unsheltered(connection: Connection, recording_ids: Collection[str]) -> set[str]:
    """Those of these recordings that `unsheltered` could still return."""
    return set(connection.execute(_HELD_AWAY.where(among(attempts.c.recording_id, recording_ids))).scalars())


def begin_copies(connection: Connection, recording_id: str, copies: Collection[Attempt], moment: datetime) -> None:
    """Record which copies are about to be made, and give up those that a process began before it died.

    Copies begun before `moment` of which nothing is left are forgotten: nobody can still be writing them.
    """
    connection.execute(_LOSE_COPIES, {"recording": recording_id})
    connection.execute(_FORGET_COPIES, {"recording": recording_id, "moment": moment})
    add(connection, *copies)


def take_over(connection: Connection, copies: Mapping[str, Attempt]) -> bool:
    """Read from these copies from now on, each given by the id of the attempt it was copied from.

    False, changing nothing, where a copy was given up meanwhile, or an original is no longer read from.
    """
    for state, ids in (("open", [copy.id for copy in copies.values()]), ("kept", list(copies))):
        if len(connection.execute(_KNOWN.where(attempts.c.state == state), {"ids": ids}).all()) < len(copies):
            return False
    connection.execute(_LOSE_KEPT, {"ids": list(copies)})
    keep(connection, copies.values())
    return True


def buried(connection: Connection, rows: Collection[Attempt]) -> list[Attempt]:
    """Those of these attempts that have no row any more: their recording was erased meanwhile."""
    known = set(connection.execute(_KNOWN, {"ids": [row.id for row in rows]}).scalars())
    return [row for row in rows if row.id not in known]


def lost(connection: Connection, limit: int, *, recording_id: str | None = None) -> list[Attempt]:
    """Attempts whose objects are still to be erased."""
    if recording_id is None:
        found = connection.execute(_LOST, {"limit": limit})
    else:
        found = connection.execute(_LOST_OF_RECORDING, {"limit": limit, "recording": recording_id})
    return [Attempt(**row) for row in found.mappings()]


def known(connection: Connection, object_keys: Collection[str]) -> set[str]:
    """Those of these objects that belong to an attempt still on record."""
    found = select(attempts.c.object_key).where(attempts.c.object_key.in_(object_keys))
    return set(connection.execute(found).scalars())


def gone(connection: Connection, ids: Collection[str]) -> None:
    """Note that nothing is left of these objects. Their rows stay until the erasure, which looks once more.

    A discarded recording is never erased, so its rows are deleted here: they would tell when it was made.
    """
    connection.execute(_GONE, {"ids": list(ids)})
    connection.execute(_FORGET_NEVER, {"ids": list(ids)})
