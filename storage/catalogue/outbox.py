"""Rows of messages to hand over: claimed with a lease, finished only by whoever holds it.

The body of a message with a secret says which minting of the secret it carries (`version`), and whether that one was
ever handed over with the outcome unknown (`handed`): it may have arrived, so it is repeated with the same secret.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from storage.clock import new_id
from storage.tables import metadata

outbox = metadata.tables["outbox"]


@dataclass(frozen=True)
class Message:
    """A message in ids only: the directory is asked for the recipient when it is handed over."""

    id: str
    kind: str  # mail | sms | call
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

    @property
    def version(self) -> int:
        """Which minting of its secret it carries."""
        return int((self.body or {}).get("version", 0))

    @property
    def uncertain(self) -> bool:
        """Whether it was handed over before and nobody knows what became of that."""
        return bool((self.body or {}).get("handed"))


def add(
    connection: Connection,
    kind: str,
    template: str,
    subject_id: str,
    now: datetime,
    *,
    not_before: datetime | None = None,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Queue a message of ids and choices only; `not_before` delays it, in case it becomes needless.

    How late it is, and when it is given up, is counted from when it was due.
    """
    due = not_before or now
    message = Message(new_id("msg"), kind, template, subject_id, due, due, body=dict(body or {}))
    connection.execute(outbox.insert().values(**vars(message)))


def get(connection: Connection, message_id: str) -> Message | None:
    row = connection.execute(select(outbox).where(outbox.c.id == message_id)).first()
    return None if row is None else Message(**row._asdict())


def kind_of(connection: Connection, subject_id: str) -> str | None:
    """The kind of a message about this subject: how a code goes out. None where there is none."""
    return connection.execute(
        select(outbox.c.kind).where(outbox.c.subject_id == subject_id).limit(1)
    ).scalar_one_or_none()


def claim(connection: Connection, now: datetime, until: datetime, kinds: Collection[str]) -> Message | None:
    """Take the message that has been due longest, leased until `until`; None where nothing is due."""
    due = (
        select(outbox)
        .where(
            outbox.c.state == "new",
            outbox.c.kind.in_(list(kinds)),
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
    """Record what became of a message; False where another worker has the lease by now."""
    sent_at = now if state == "sent" else None
    statement = update(outbox).where(outbox.c.id == message.id, outbox.c.lease == message.lease)
    return (
        connection.execute(statement.values(state=state, sent_at=sent_at, lease=None, lease_until=None)).rowcount == 1
    )


def bounced(connection: Connection, message_id: str) -> None:
    """Note that a message came back; one that waits to be sent again is not sent any more."""
    values = {"state": "failed", "lease": None, "lease_until": None}
    connection.execute(update(outbox).where(outbox.c.id == message_id).values(**values))


def put_off(connection: Connection, message: Message, until: datetime, *, anew: bool) -> bool:
    """Put a message off, with a new secret if `anew`; False where another worker has the lease by now."""
    statement = update(outbox).where(outbox.c.id == message.id, outbox.c.lease == message.lease)
    values: dict[str, Any] = {"tries": outbox.c.tries + 1, "next_try_at": until, "lease": None, "lease_until": None}
    if anew:
        values["body"] = {**(message.body or {}), "version": message.version + 1, "handed": False}
    return connection.execute(statement.values(**values)).rowcount == 1


def hand_over(connection: Connection, message: Message) -> bool:
    """Note, before a message leaves, that it may have left. False where the lease is lost or the message was voided."""
    statement = update(outbox).where(
        outbox.c.id == message.id, outbox.c.lease == message.lease, outbox.c.state == "new"
    )
    return connection.execute(statement.values(body={**(message.body or {}), "handed": True})).rowcount == 1


def void(connection: Connection, subject_id: str, templates: Collection[str] = ()) -> None:
    """Take back messages about a link, a code or a request not handed over yet; with `templates`, only those."""
    waiting = (outbox.c.subject_id == subject_id) & (outbox.c.state == "new")
    if templates:
        waiting &= outbox.c.template.in_(list(templates))
    connection.execute(update(outbox).where(waiting).values(state="void", lease=None, lease_until=None))


def waits(connection: Connection, subject_id: str) -> bool:
    """Whether a message about this subject is still to be handed over."""
    waiting = select(outbox.c.id).where(outbox.c.subject_id == subject_id, outbox.c.state == "new")
    return connection.execute(waiting.limit(1)).first() is not None


def none_sent(connection: Connection, subject_ids: Collection[str]) -> bool:
    """Whether messages about these subjects are on record and none was sent: forgotten ones say nothing."""
    states = set(connection.execute(select(outbox.c.state).where(outbox.c.subject_id.in_(list(subject_ids)))).scalars())
    return bool(states) and "sent" not in states


def failed(connection: Connection, subject_id: str, template: str, queued_at: datetime) -> bool:
    """Whether this message, queued at this moment, was given up or came back."""
    asked = (outbox.c.subject_id == subject_id) & (outbox.c.template == template) & (outbox.c.state == "failed")
    return connection.execute(select(outbox.c.id).where(asked, outbox.c.created_at == queued_at)).first() is not None


def forget_before(connection: Connection, moment: datetime) -> int:
    """Forget messages that were handed over, or given up, long ago."""
    statement = delete(outbox).where(outbox.c.state != "new", outbox.c.created_at < moment)
    return connection.execute(statement).rowcount
