"""Requests of people who were recorded, what they are sent, and how they get in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from storage.tables.base import Table, blob, document, instant


class RequestRow(Table, table=True):
    __tablename__ = "requests"
    __table_args__ = (
        Index(
            "ix_requests_open",
            "due_at",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_requests_sealed",
            "key_id",
            sqlite_where=text("key_id IS NOT NULL"),
            postgresql_where=text("key_id IS NOT NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    kind: str  # access | withdrawal | erasure | restriction | …
    state: str = "received"  # received | answered | refused | closed
    outcome: str | None = None
    received_at: datetime = instant(nullable=False)
    due_at: datetime = instant(nullable=False, index=True)
    extended: bool = False
    reminded_at: datetime | None = instant()
    identity_method: str | None = None
    identity_by: str | None = None
    identity_at: datetime | None = instant()
    identity_asked_at: datetime | None = instant()  # we wait for the person to say who they are; the deadline waits too
    identity_reminded_at: datetime | None = instant()
    answered_at: datetime | None = instant()
    closed_at: datetime | None = instant()
    key_id: str | None = None
    request_key: bytes | None = blob()
    sealed: bytes | None = blob()  # phone, account or call as asked


class MatchRow(Table, table=True):
    __tablename__ = "matches"
    request_id: str = Field(primary_key=True)
    recording_id: str = Field(primary_key=True, index=True)
    ticked: bool = True
    doubt: str | None = None  # why it comes unticked, e.g. account_changed
    approved: bool = False


class LinkRow(Table, table=True):
    __tablename__ = "links"
    id: str = Field(primary_key=True)
    request_id: str = Field(index=True)
    state: str = "minted"  # minted | open | void | revoked | locked
    token_hash: bytes | None = blob(unique=True)
    contact: bytes | None = blob()  # HMAC of e-mail and mobile as they were when the link was sent
    language: str = "da"
    created_at: datetime = instant(nullable=False)
    expires_at: datetime = instant(nullable=False, index=True)
    openings: int = 0
    failures: int = 0


class CodeRow(Table, table=True):
    __tablename__ = "codes"
    id: str = Field(primary_key=True)
    link_id: str = Field(index=True)
    session_id: str
    code_hash: bytes | None = blob()
    state: str = "queued"  # queued | sent | used | void
    tries: int = 0
    created_at: datetime = instant(nullable=False, index=True)
    expires_at: datetime | None = instant()


class SessionRow(Table, table=True):
    """A browser that opened a link or signed in. The cookie holds a random token, the row its SHA-256."""

    __tablename__ = "sessions"
    id: str = Field(primary_key=True)
    token_hash: bytes = blob(unique=True, nullable=False)
    kind: str  # link | staff
    link_id: str | None = Field(default=None, index=True)
    token_id: str | None = Field(default=None, index=True)
    verified: bool = False
    language: str | None = None
    created_at: datetime = instant(nullable=False)
    expires_at: datetime = instant(nullable=False, index=True)


class OutboxRow(Table, table=True):
    """A message to hand over. Holds ids, never an address: the directory is asked for it when the message is sent."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "next_try_at",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )
    id: str = Field(primary_key=True)
    kind: str  # mail | sms | call
    template: str
    subject_id: str = Field(index=True)  # request, link or code the message is about
    body: dict[str, Any] | None = document()  # ids and choices only: reason, and which minting of its secret
    state: str = "new"  # new | sent | failed | void
    tries: int = 0
    created_at: datetime = instant(nullable=False, index=True)
    next_try_at: datetime = instant(nullable=False)
    lease: str | None = None
    lease_until: datetime | None = instant()
    sent_at: datetime | None = instant()
