"""Rows of messages to hand over: claimed with a lease, finished only by who holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from storage.clock import new_id
from storage.tables import metadata

outbox = metadata.tables["outbox"]


@dataclass(frozen=True)
class Message:
    """Something to say, by ids: whom it goes to is asked of the directory when it is handed over."""

    id: str
    kind: str  # mail | sms
    template: str
    subject_id: str
    created_at: datetime
    next_try_at: datetime
    state: str = "new"
    body: dict[str, Any] | None = field(default=None)
    tries: int = 0
    lease: str | None = None
    lease_until: datetime | None = None
    sent_at: datetime | None = None


def add(connection: Connection, kind: str, template: str, subject_id: str, now: datetime) -> None:
    message = Message(new_id("msg"), kind, template, subject_id, now, now)
    connection.execute(outbox.insert().values(**vars(message)))


def claim(connection: Connection, now: datetime, until: datetime) -> Message | None:
    """Take the message that waits longest, for as long as the lease says; None where nothing is due."""
    due = (
        select(outbox)
        .where(
            outbox.c.state == "new",
            outbox.c.next_try_at <= now,
            or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now),
        )
        .order_by(outbox.c.next_try_at, outbox.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(due).first()
    if row is None:
        return None
    lease = new_id("lse")
    connection.execute(update(outbox).where(outbox.c.id == row.id).values(lease=lease, lease_until=until))
    return Message(**(row._asdict() | {"lease": lease, "lease_until": until}))


def finish(connection: Connection, message: Message, state: str, now: datetime) -> bool:
    """Say what became of it; False where the lease has gone to another."""
    sent_at = now if state == "sent" else None
    statement = update(outbox).where(outbox.c.id == message.id, outbox.c.lease == message.lease)
    return (
        connection.execute(statement.values(state=state, sent_at=sent_at, lease=None, lease_until=None)).rowcount == 1
    )


def put_off(connection: Connection, message: Message, until: datetime) -> bool:
    """Try again later; False where the lease has gone to another."""
    statement = update(outbox).where(outbox.c.id == message.id, outbox.c.lease == message.lease)
    values = {"tries": outbox.c.tries + 1, "next_try_at": until, "lease": None, "lease_until": None}
    return connection.execute(statement.values(**values)).rowcount == 1


def still_ours(connection: Connection, message: Message) -> bool:
    """Whether the lease is still ours; locks the message's row until the transaction ends."""
    statement = select(outbox.c.id).where(
        outbox.c.id == message.id, outbox.c.lease == message.lease, outbox.c.state == "new"
    )
    return connection.execute(statement.with_for_update()).first() is not None


def void(connection: Connection, subject_id: str) -> None:
    """Take back what has not been handed over about a link or a code."""
    waiting = (outbox.c.subject_id == subject_id) & (outbox.c.state == "new")
    connection.execute(update(outbox).where(waiting).values(state="void", lease=None, lease_until=None))


def forget_before(connection: Connection, moment: datetime) -> int:
    """Forget messages that were handed over, or given up, long ago."""
    statement = delete(outbox).where(outbox.c.state != "new", outbox.c.created_at < moment)
    return connection.execute(statement).rowcount
