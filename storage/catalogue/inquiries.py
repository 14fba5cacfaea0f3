"""Calls whose platform will be asked what it recorded of them, unless it tells us by itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, select, update

from storage.catalogue.upsert import insert_new
from storage.clock import new_id
from storage.tables import metadata

inquiries = metadata.tables["inquiries"]


@dataclass(frozen=True)
class Inquiry:
    """`body` (the platform's id of the call) is wrapped by the inbox key `key_id` names; `tries` counts questions."""

    call_ref: bytes = field(repr=False)
    platform: str
    next_try_at: datetime
    key_id: str
    body: bytes = field(repr=False)
    tries: int = 0
    lease: str | None = None


def add(connection: Connection, inquiry: Inquiry) -> None:
    """Note a call, unless it is noted already."""
    insert_new(connection, inquiries, [asdict(inquiry)], conflict=["call_ref"])


def claim(connection: Connection, now: datetime, until: datetime) -> Inquiry | None:
    """Take the call that has been due longest, until `until`; None where none is due."""
    due = (
        select(inquiries.c.call_ref)
        .where(inquiries.c.next_try_at <= now)
        .order_by(inquiries.c.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = (
        update(inquiries)
        .where(inquiries.c.call_ref.in_(select(due.c.call_ref)))
        .values(next_try_at=until, lease=new_id("lse"))
        .returning(*inquiries.c)
    )
    row = connection.execute(taken).mappings().first()
    return None if row is None else Inquiry(**row)


def count(connection: Connection, claimed: Inquiry) -> bool:
    """Count a question before it is asked; False where another worker has taken the call over."""
    counted = update(inquiries).where(_held(claimed)).values(tries=inquiries.c.tries + 1)
    return connection.execute(counted).rowcount == 1


def put_off(connection: Connection, claimed: Inquiry, until: datetime) -> None:
    """Leave it until then, unless another worker has taken it over."""
    connection.execute(update(inquiries).where(_held(claimed)).values(next_try_at=until, lease=None))


def done(connection: Connection, claimed: Inquiry) -> bool:
    """Forget it; False where another worker has taken it over."""
    return connection.execute(delete(inquiries).where(_held(claimed))).rowcount == 1


def _held(claimed: Inquiry) -> ColumnElement[bool]:
    return (inquiries.c.call_ref == claimed.call_ref) & (inquiries.c.lease == claimed.lease)
