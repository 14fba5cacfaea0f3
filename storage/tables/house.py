"""What the house itself keeps: keys, tokens, scripts, tasks, leases, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from storage.tables.base import Table, blob, document, instant


class KeyRow(Table, table=True):
    """One key of the ring. The row claims the id before the key object is written."""

    __tablename__ = "keys"
    __table_args__ = (UniqueConstraint("purpose", "day"),)
    id: str = Field(primary_key=True)
    purpose: str  # day | inbox | service
    day: str  # yyyymmdd, UTC; "service" for the key that never goes
    state: str  # claimed | ready | closing | destroyed
    created_at: datetime = instant(nullable=False)
    destroyed_at: datetime | None = instant()


class TokenRow(Table, table=True):
    __tablename__ = "tokens"
    id: str = Field(primary_key=True)
    name: str
    role: str
    token_hash: bytes = blob(unique=True, nullable=False)
    created_at: datetime = instant(nullable=False)
    expires_at: datetime = instant(nullable=False)
    revoked_at: datetime | None = instant()


class ScriptRow(Table, table=True):
    """What was played or said, by version. Not personal; stays for years, so that a consent can be understood."""

    __tablename__ = "scripts"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    language: str
    texts: dict[str, Any] | None = document()
    purposes: list[str] | None = document()
    retention_days: int
    sha256: str
    added_at: datetime = instant(nullable=False)
    approved_at: datetime | None = instant()
    approved_by: str | None = None


class TaskRow(Table, table=True):
    """Something a person has to look at. A code and ids; the words are the console's."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(
            "ix_tasks_open",
            "kind",
            "subject_id",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    kind: str
    subject_id: str
    opened_at: datetime = instant(nullable=False)
    closed_at: datetime | None = instant()
    closed_by: str | None = None


class LeaseRow(Table, table=True):
    """Who does a periodic job now. `fence` grows with every taking, so that a sleeper cannot finish late."""

    __tablename__ = "leases"
    name: str = Field(primary_key=True)
    owner: str
    until: datetime = instant(nullable=False)
    fence: int = 0


class IdempotencyRow(Table, table=True):
    """An act that was asked for under a client's key: done once, however often it is asked for. Kept for a day."""

    __tablename__ = "idempotency"
    mark: bytes = blob(primary=True)  # HMAC of token and key
    fingerprint: bytes = blob(nullable=False)  # HMAC of the request
    subject_id: str | None = None  # what was done, written by the act's own transaction
    lease: str
    lease_until: datetime | None = instant()  # None once it was answered
    created_at: datetime = instant(nullable=False, index=True)


class BulletinRow(Table, table=True):
    """Something a subscriber is to be told, by ids. Gone once it was told, or given up."""

    __tablename__ = "bulletins"
    __table_args__ = (Index("ix_bulletins_due", "subscriber", "next_try_at"),)
    id: str = Field(primary_key=True)  # the `webhook-id`, the same at every try
    subscriber: str
    type: str
    data: dict[str, Any] | None = document()  # random ids only
    tries: int = 0
    created_at: datetime = instant(nullable=False, index=True)
    next_try_at: datetime = instant(nullable=False)
    lease: str | None = None
    lease_until: datetime | None = instant()


class CanaryRow(Table, table=True):
    """How the last test call to a line went."""

    __tablename__ = "canaries"
    line: str = Field(primary_key=True)  # our own number, not personal
    ran_at: datetime = instant(nullable=False)
    failed: str | None = None  # the step that did
    why: list[str] | None = document()  # codes


class AuditRow(Table, table=True):
    __tablename__ = "audit"
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = instant(nullable=False)
    type: str
    actor: str
    subject: str = Field(index=True)
    body: str  # canonical JSON; what `leaf` hashes
    leaf: bytes = blob(nullable=False)


class AuditHeadRow(Table, table=True):
    __tablename__ = "audit_head"
    id: int = Field(primary_key=True)
    size: int = 0
    latest_at: datetime | None = instant()


class CompatibilityRow(Table, table=True):
    """The oldest code that can work on this schema, by the last migration it knows: replicas are upgraded in turn."""

    __tablename__ = "compatibility"
    id: int = Field(primary_key=True)
    oldest: str
