"""What platforms tell us: events, calls, and the evidence of what was said in them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from storage.tables.base import Table, blob, document, instant


class InboxRow(Table, table=True):
    """One accepted webhook. Its body goes when it has been applied; its dedupe mark stays 100 days."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index(
            "ix_inbox_new",
            "received_at",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
        Index(
            "ix_inbox_failed",
            "received_at",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
        Index(
            "ix_inbox_pending_call",
            "call_ref",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )
    id: str = Field(primary_key=True)
    platform: str
    dedupe: bytes = blob(unique=True, nullable=False)
    call_ref: bytes = blob(nullable=False)
    received_at: datetime = instant(nullable=False, index=True)
    state: str = "new"  # new | done | failed
    tries: int = 0
    key_id: str | None = None
    body: bytes | None = blob()


class SeenRow(Table, table=True):
    """Calls and recordings that once were: kept 100 days, so that a replay re-imports nothing."""

    __tablename__ = "seen"
    mark: bytes = blob(primary=True)
    kind: str  # call | refused | leg | recording
    seen_at: datetime = instant(nullable=False, index=True)


class CallRow(Table, table=True):
    __tablename__ = "calls"
    id: str = Field(primary_key=True)
    ref: bytes | None = blob(unique=True)
    platform: str
    line: str | None = None  # our own number, not personal
    direction: str | None = None  # inbound | outbound
    customer_type: str | None = None  # private | business
    call_kind: str | None = None  # service | sales
    segment: str | None = None
    brand: str | None = None
    language: str | None = None
    queue: str | None = None
    state: str = "open"  # open | over | blank
    opened_at: datetime = instant(nullable=False, index=True)
    started_at: datetime | None = instant()
    ended_at: datetime | None = instant()
    opened: bool = False  # its first webhook came; until then events that overtook it wait here
    settle_at: datetime | None = instant(index=True)  # when to decide whether it is kept or blanked
    # Smallest difference seen between received and stamped: bounds how far the platform's clock is off.
    skew_us: int | None = Field(default=None, sa_type=BigInteger)
    key_id: str | None = Field(default=None, index=True)
    call_key: bytes | None = blob()
    sealed: bytes | None = blob()


class LegRow(Table, table=True):
    __tablename__ = "legs"
    id: str = Field(primary_key=True)
    call_id: str = Field(foreign_key="calls.id", index=True)
    ref: bytes | None = blob(unique=True)
    parent_call_id: str | None = Field(default=None, index=True)


class PartyRow(Table, table=True):
    __tablename__ = "parties"
    id: str = Field(primary_key=True)
    call_id: str = Field(foreign_key="calls.id", index=True)
    leg_id: str | None = None
    role: str  # customer | agent | outside
    joined_at: datetime | None = instant()
    left_at: datetime | None = instant()
    sealed: bytes | None = blob()


class ConsentRow(Table, table=True):
    """One answer to the question, as evidence. Goes with the call."""

    __tablename__ = "consents"
    id: str = Field(primary_key=True)
    call_id: str = Field(foreign_key="calls.id", index=True)
    recording_id: str | None = None  # where the answer was given as an offset into a recording
    decision: str  # requested | granted | refused | unanswered | withdrawn
    method: str | None = None  # dtmf | verbal | button | page | ordered
    at: datetime | None = instant()
    clock: str = "platform"  # platform | service
    offset_ms: int | None = None
    received_at: datetime = instant(nullable=False)
    digit: str | None = None
    script: str | None = None  # name@version
    purposes: list[str] | None = document()
    language: str | None = None
    confidence: float | None = None
    sealed: bytes | None = blob()


class SpanRow(Table, table=True):
    """One edge of a span of a recording as the platform reported it; spans are read off the set of edges."""

    __tablename__ = "spans"
    id: str = Field(primary_key=True)
    call_id: str = Field(foreign_key="calls.id", index=True)
    recording_id: str | None = Field(default=None, index=True)
    edge: str  # started | paused | resumed | stopped
    at: datetime | None = instant()
    clock: str = "platform"
    received_at: datetime = instant(nullable=False)


class SourceDeletionRow(Table, table=True):
    """A copy still lying at a platform. Sealed under the inbox key of the day it was last tried."""

    __tablename__ = "source_deletions"
    __table_args__ = (
        Index(
            "ix_source_deletions_due",
            "next_try_at",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )
    id: str = Field(primary_key=True)
    recording_ref: bytes = blob(unique=True, nullable=False)
    recording_id: str | None = Field(default=None, index=True)
    platform: str
    reason: str  # kept | no_consent | withdrawn | unknown_call | …
    state: str = "new"  # new | done | failed
    tries: int = 0
    created_at: datetime = instant(nullable=False, index=True)
    next_try_at: datetime = instant(nullable=False)
    key_id: str | None = Field(default=None, index=True)
    body: bytes | None = blob()
    done_at: datetime | None = instant()


class InquiryRow(Table, table=True):
    """A call its platform was told to record, until its recording was heard of or asked for.

    Sealed under the inbox key of the day it was noted.
    """

    __tablename__ = "inquiries"
    call_ref: bytes = blob(primary=True)
    platform: str
    next_try_at: datetime = instant(index=True, nullable=False)
    tries: int = 0
    lease: str | None = None
    key_id: str
    body: bytes = blob(nullable=False)  # the platform's id of the call
