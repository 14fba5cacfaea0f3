"""Rows of what subscribers are to be told: claimed with a lease, deleted once told or given up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from storage.clock import new_id
from storage.tables import metadata

_bulletins = metadata.tables["bulletins"]


@dataclass(frozen=True)
class Bulletin:
    """`id` is sent along, the same at every try, so that a subscriber can recognise a repetition."""

    id: str
    subscriber: str
    type: str
    data: dict[str, Any]
    created_at: datetime
    next_try_at: datetime
    tries: int = 0
    lease: str | None = None
    lease_until: datetime | None = None


def add(
    connection: Connection, kind: str, told: Sequence[dict[str, str]], subscribers: Collection[str], now: datetime
) -> None:
    """Queue one bulletin for each of `told` and each of `subscribers`."""
    rows = [vars(Bulletin(new_id("evt"), name, kind, data, now, now)) for data in told for name in subscribers]
    if rows:
        connection.execute(insert(_bulletins), rows)


def claim(connection: Connection, subscriber: str, now: datetime, until: datetime) -> Bulletin | None:
    """Take the bulletin that has been due longest for a subscriber, leased until `until`; None where nothing is due."""
    due = (
        select(_bulletins)
        .where(
            _bulletins.c.subscriber == subscriber,
            _bulletins.c.next_try_at <= now,
            or_(_bulletins.c.lease_until.is_(None), _bulletins.c.lease_until <= now),
        )
        .order_by(_bulletins.c.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(due).first()
    if row is None:
        return None
    lease = new_id("lse")
    connection.execute(update(_bulletins).where(_bulletins.c.id == row.id).values(lease=lease, lease_until=until))
    return Bulletin(**(row._asdict() | {"lease": lease, "lease_until": until}))


def put_off(connection: Connection, bulletin: Bulletin, until: datetime) -> None:
    """Put a bulletin off until later, unless another worker has the lease by now."""
    ours = (_bulletins.c.id == bulletin.id) & (_bulletins.c.lease == bulletin.lease)
    values = {"tries": bulletin.tries + 1, "next_try_at": until, "lease": None, "lease_until": None}
    connection.execute(update(_bulletins).where(ours).values(**values))


def remove(connection: Connection, bulletin: Bulletin) -> None:
    connection.execute(delete(_bulletins).where(_bulletins.c.id == bulletin.id))


def remove_all(connection: Connection, subscriber: str) -> None:
    connection.execute(delete(_bulletins).where(_bulletins.c.subscriber == subscriber))


def forget_before(connection: Connection, moment: datetime) -> int:
    return connection.execute(delete(_bulletins).where(_bulletins.c.created_at < moment)).rowcount
