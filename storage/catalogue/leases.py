"""Who does a periodic job now, among all processes that share the database."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from storage.catalogue.upsert import insert_new
from storage.tables import LeaseRow

leases = LeaseRow.__table__

NOBODY = ""


def take(connection: Connection, name: str, owner: str, now: datetime, seconds: int = 60) -> int | None:
    """Take a lease that nobody holds and return its fence, or None.

    The fence grows each time the lease is taken: a worker that slept past its lease learns from `held` that it is gone.
    """
    until = now + timedelta(seconds=seconds)
    row = {"name": name, "owner": owner, "until": until, "fence": 1}
    if insert_new(connection, leases, [row], conflict=["name"]):
        return 1
    fence: int | None = connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.until <= now)
        .values(owner=owner, until=until, fence=leases.c.fence + 1)
        .returning(leases.c.fence)
    ).scalar_one_or_none()
    return fence


def renew(connection: Connection, name: str, owner: str, fence: int, now: datetime, seconds: int = 60) -> bool:
    """Hold on to a lease; False where it has gone to another or was given back."""
    renewed = connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.owner == owner, leases.c.fence == fence)
        .values(until=now + timedelta(seconds=seconds))
    )
    return renewed.rowcount == 1


def release(connection: Connection, name: str, owner: str, fence: int, now: datetime) -> None:
    """Give a lease back, so that the next owner need not wait for its end. Does nothing where another has it by now."""
    connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.owner == owner, leases.c.fence == fence)
        .values(owner=NOBODY, until=now)
    )


def held(connection: Connection, name: str, owner: str, fence: int) -> bool:
    """Whether the lease is still this owner's, and stays so to the end of this transaction.

    For the transaction that finishes the work: it locks the lease's row.
    """
    found = connection.execute(
        select(leases.c.name)
        .where(leases.c.name == name, leases.c.owner == owner, leases.c.fence == fence)
        .with_for_update()
    )
    return found.first() is not None
