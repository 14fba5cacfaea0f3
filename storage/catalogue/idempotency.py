"""Acts asked for under a client's key: claimed, done, answered. Holds HMACs and random ids only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from storage.catalogue.upsert import insert_new
from storage.tables import metadata

_asked = metadata.tables["idempotency"]


@dataclass(frozen=True)
class Asked:
    """`subject_id` says what was done, once it is; `lease_until` how long a worker may take, None once answered."""

    mark: bytes
    fingerprint: bytes
    lease: str
    lease_until: datetime | None
    created_at: datetime
    subject_id: str | None = None


def claim(connection: Connection, asked: Asked, *, forgotten: datetime) -> Asked:
    """Take a key that nobody has used since `forgotten`, or whose user died before doing anything.

    The latter only for the same request. Returns what is on record afterwards: `asked` itself where the key was taken.
    """
    if insert_new(connection, _asked, [vars(asked)], conflict=["mark"]):
        return asked
    row = connection.execute(select(_asked).where(_asked.c.mark == asked.mark).with_for_update()).mappings().one()
    known = Asked(**row)
    died = known.subject_id is None and known.lease_until is not None and known.lease_until <= asked.created_at
    if known.created_at > forgotten and not (died and known.fingerprint == asked.fingerprint):
        return known
    connection.execute(update(_asked).where(_asked.c.mark == asked.mark).values(**vars(asked)))
    return asked


def done(connection: Connection, mark: bytes, lease: str, subject_id: str) -> bool:
    """Record what was done; False where somebody else has taken over."""
    statement = update(_asked).where(_asked.c.mark == mark, _asked.c.lease == lease, _asked.c.subject_id.is_(None))
    return connection.execute(statement.values(subject_id=subject_id)).rowcount == 1


def answer(connection: Connection, mark: bytes, lease: str, subject_id: str | None) -> None:
    """Let go of a key. What was done is kept; where nothing was done, the key may be used again."""
    ours = (_asked.c.mark == mark) & (_asked.c.lease == lease)
    if subject_id is None:
        connection.execute(delete(_asked).where(ours, _asked.c.subject_id.is_(None)))
        connection.execute(update(_asked).where(ours).values(lease_until=None))
    else:
        connection.execute(update(_asked).where(ours).values(subject_id=subject_id, lease_until=None))


def forget_before(connection: Connection, moment: datetime) -> int:
    return connection.execute(delete(_asked).where(_asked.c.created_at < moment)).rowcount
