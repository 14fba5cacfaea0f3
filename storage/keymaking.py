"""Making keys so that a crash between any two steps costs nothing, and no two processes use different keys for a day.

Claim the id by its database row, write the object, read it back, call the row ready. Whoever finds a claim without
its object takes it over under an id of its own; whoever finds the object finishes the claim for its owner. Stores
are never asked to decide: some ignore conditional writes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from storage.catalogue.upsert import insert_new
from storage.clock import new_id
from storage.database import Database
from storage.errors import KeyUnavailableError, ObjectNotFoundError
from storage.keyobjects import KeyName, KeyObjects
from storage.tables import KeyRow

ATTEMPTS = 8
BATCH = 16  # keys per transaction: few transactions, yet two processes are seldom at the same keys

keys = KeyRow.__table__


def make(
    database: Database,
    objects: KeyObjects,
    wanted: Sequence[tuple[str, str]],
    now: datetime,
    pinned_by: KeyName | None = None,
) -> int:
    """Make those of the wanted keys (purpose, folder) that are missing; returns how many this call made ready.

    `pinned_by` is checked before anything is called ready: if its object is gone, the root key was changed.
    """
    own, made = _claim(database, wanted, now), 0
    for _ in range(ATTEMPTS):
        unfinished = _unfinished(database, wanted)
        if not unfinished:
            return made
        random.shuffle(unfinished)
        for at in range(0, len(unfinished), BATCH):
            names = [_write(database, objects, name, now, own) for name in unfinished[at : at + BATCH]]
            if pinned_by is not None:
                objects.require(pinned_by)
            made += _finish(database, objects, [name for name in names if name is not None])
    raise KeyUnavailableError("keys are being claimed faster than they are made")


def rows_in(connection: Connection, *states: str) -> list[KeyName]:
    rows = connection.execute(_IN_STATES, {"states": states})
    return [KeyName(key_id, day) for key_id, day in rows]


_IN_STATES = select(keys.c.id, keys.c.day).where(keys.c.state.in_(bindparam("states", expanding=True)))


def _claim(database: Database, wanted: Sequence[tuple[str, str]], now: datetime) -> set[str]:
    with database.read() as connection:
        known = {(row.purpose, row.day) for row in connection.execute(select(keys.c.purpose, keys.c.day))}
    new = [
        {"id": new_id(purpose), "purpose": purpose, "day": day, "state": "claimed", "created_at": now}
        for purpose, day in wanted
        if (purpose, day) not in known
    ]
    if not new:
        return set()
    with database.write() as connection:
        rows = insert_new(connection, keys, new, conflict=["purpose", "day"], returning=[keys.c.id])
    return {row.id for row in rows}


def _unfinished(database: Database, wanted: Sequence[tuple[str, str]]) -> list[KeyName]:
    pairs = set(wanted)
    with database.read() as connection:
        return [name for name in rows_in(connection, "claimed") if (name.purpose, name.folder) in pairs]


def _write(database: Database, objects: KeyObjects, name: KeyName, now: datetime, own: set[str]) -> KeyName | None:
    """Put the object of a claimed key in place; None where somebody else has just taken the claim over."""
    if objects.written(name):
        try:
            objects.read(name)
        except ObjectNotFoundError:  # removed by its writer, whose claim was taken over meanwhile
            return None
        return name
    if name.id not in own:
        found, name = name, KeyName(new_id(name.purpose), name.folder)
        with database.write() as connection:
            claim = (keys.c.id == found.id) & (keys.c.state == "claimed")
            taken = connection.execute(update(keys).where(claim).values(id=name.id, created_at=now))
        if taken.rowcount != 1:
            return None
    # Whatever the claim's first owner has written we leave alone: if it is still alive, it may be using the object.
    # An object that no row names is destroyed with the keys of its day.
    try:
        objects.create(name)
    except ObjectNotFoundError:  # gone before it was read back: the claim was taken over, and another has tidied up
        return None
    return name


def _finish(database: Database, objects: KeyObjects, names: Sequence[KeyName]) -> int:
    ids = [name.id for name in names]
    with database.write() as connection:
        claims = update(keys).where(keys.c.id.in_(ids), keys.c.state == "claimed").values(state="ready")
        made = connection.execute(claims).rowcount
        known = set(connection.execute(select(keys.c.id).where(keys.c.id.in_(ids))).scalars())
    for name in names:
        if name.id not in known:  # taken over while we wrote: no row will ever name this object
            objects.remove(name)
    return made
