"""The schema. Table classes stay inside `storage`; everybody else gets frozen dataclasses.

Columns named `sealed` hold canonical JSON of everything personal about the row, encrypted under the key the row
names (`storage/columns.py`); a `ref` is an HMAC of a platform's own id; a `mark` is a blind-index entry that dies
with its day key. Nothing here may hold a number, an account, an address or a token in clear.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, MetaData, UniqueConstraint, text
from sqlalchemy import Table as SqlTable
from sqlmodel import Field, SQLModel

from storage.clock import Instant

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


class Table(SQLModel):
    metadata = metadata
    __table__: ClassVar[SqlTable]  # what statements are made of


def instant(*, index: bool = False, nullable: bool = True) -> Any:
    return Field(default=None, sa_column=Column(Instant, index=index, nullable=nullable))


def blob(*, index: bool = False, unique: bool = False, nullable: bool = True, primary: bool = False) -> Any:
    return Field(
        default=None,
        sa_column=Column(
            LargeBinary, index=index, unique=unique, nullable=nullable and not primary, primary_key=primary
        ),
    )


def document() -> Any:
    return Field(default=None, sa_column=Column(JSON, nullable=True))


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
    settle_at: datetime | None = instant(index=True)  # when to look whether it is kept or blanked
    # Smallest received-minus-stamped seen: bounds how far the platform's clock is off.
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
    """One answer to the question, as evidence. Goes with the recording."""

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


class RecordingRow(Table, table=True):
    __tablename__ = "recordings"
    __table_args__ = (
        Index(
            "ix_recordings_due",
            "state",  # the first two say nothing more; without statistics SQLite would prefer another index
            "holds",
            "expires_at",
            "id",
            sqlite_where=text("state = 'stored' AND holds = 0"),
            postgresql_where=text("state = 'stored' AND holds = 0"),
        ),
        Index(
            "ix_recordings_held",
            "expires_at",
            sqlite_where=text("state = 'stored' AND holds > 0"),
            postgresql_where=text("state = 'stored' AND holds > 0"),
        ),
        Index("ix_recordings_work", "state", "next_try_at"),
        Index("ix_recordings_day", "expiry_day", "state"),
        Index("ix_recordings_listing", "state", "call_started_at", "id"),
        Index("ix_recordings_by_start", "call_started_at", "id"),
        Index("ix_recordings_by_segment", "segment", "call_started_at", "id"),
        Index("ix_recordings_by_queue", "queue", "call_started_at", "id"),
    )
    id: str = Field(primary_key=True)
    call_id: str = Field(foreign_key="calls.id", index=True)
    ref: bytes | None = blob(unique=True)
    platform: str
    segment: str | None = None
    direction: str | None = None
    queue: str | None = None
    state: str = "announced"  # announced | capturing | stored | erasing | discarded | failed
    reason: str | None = None  # why discarded, failed or being erased: a code
    by_answer: bool = False  # our own answer to the yes started it: covered from its first sample
    maybe_by_answer: bool = False  # a REST call on our account started it: ours only if it followed the yes
    started_at: datetime | None = instant()  # of the recording, platform clock
    ended_at: datetime | None = instant()
    available_at: datetime | None = instant()
    call_started_at: datetime | None = instant()  # as shown and sorted by
    call_ended_at: datetime | None = instant()
    expires_at: datetime | None = instant()
    expiry_day: str | None = None  # yyyymmdd of expires_at, or of the review date while held: the day of key_id
    stored_at: datetime | None = instant()
    holds: int = 0
    spans: dict[str, Any] | None = document()  # what the decision kept: {"keep": [[ms, ms]…], "mute": [[ms, ms]…]}
    channels: int | None = None
    duration_ms: int | None = None
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    content_type: str | None = None
    attempt: int = 0
    tries: int = 0
    next_try_at: datetime | None = instant()
    lease: str | None = None
    lease_until: datetime | None = instant()
    key_id: str | None = Field(default=None, index=True)
    dek: bytes | None = blob()
    sealed: bytes | None = blob()  # number, account, agent, case, platform ids, url, sha256
    erase_reason: str | None = None
    erase_ordered_by: str | None = None
    erase_due_at: datetime | None = instant()
    erasing_since: datetime | None = instant()
    certificate_id: str | None = Field(default=None, unique=True)


class AttemptRow(Table, table=True):
    """One upload of one rendition: committed before its first byte, so that erasure can find every byte."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "ix_attempts_lost", "state", sqlite_where=text("state = 'lost'"), postgresql_where=text("state = 'lost'")
        ),
    )
    id: str = Field(primary_key=True)
    recording_id: str = Field(index=True)
    number: int
    rendition: str  # original | playback | peaks
    object_key: str = Field(unique=True)
    upload_id: str | None = None
    state: str = "open"  # open | kept | lost | gone
    created_at: datetime = instant(nullable=False)
    head: bytes | None = blob()  # the container's first 56 bytes: saves a round trip per range
    plain_bytes: int | None = Field(default=None, sa_type=BigInteger)
    sealed_bytes: int | None = Field(default=None, sa_type=BigInteger)
    content_type: str | None = None


class MarkRow(Table, table=True):
    """Blind index: HMAC of a normalised number, account, agent or case under the recording's day key."""

    __tablename__ = "marks"
    mark: bytes = blob(primary=True)
    recording_id: str = Field(primary_key=True, index=True)
    kind: str  # phone | account | agent | case


class KeyUseRow(Table, table=True):
    """A day key that ever wrapped a recording's data key; certificates say `unreadable_in_backups_from` by the last."""

    __tablename__ = "key_uses"
    recording_id: str = Field(primary_key=True)
    day: str = Field(primary_key=True)


class HoldRow(Table, table=True):
    __tablename__ = "holds"
    __table_args__ = (
        Index(
            "ix_holds_standing",
            "review_at",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    recording_id: str = Field(index=True)
    kind: str  # access | legal | dispute | restriction
    request_id: str | None = Field(default=None, index=True)
    reason: str | None = None  # a code or case reference, never a person
    placed_by: str
    placed_at: datetime = instant(nullable=False)
    review_at: datetime = instant(nullable=False, index=True)
    released_at: datetime | None = instant()
    released_by: str | None = None


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
    """A message to hand over. Holds ids, never an address: that is asked of the directory when it is sent."""

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


class IdempotencyRow(Table, table=True):
    """An act that was asked for under a client's key: done once, however often it is asked for. Kept for a day."""

    __tablename__ = "idempotency"
    mark: bytes = blob(primary=True)  # HMAC of token and key
    fingerprint: bytes = blob(nullable=False)  # HMAC of the request
    subject_id: str | None = None  # what was done, written by the act's own transaction
    lease: str
    lease_until: datetime | None = instant()  # None once it was answered
    created_at: datetime = instant(nullable=False, index=True)


class CanaryRow(Table, table=True):
    """How the last test call to a line went."""

    __tablename__ = "canaries"
    line: str = Field(primary_key=True)  # our own number, not personal
    ran_at: datetime = instant(nullable=False)
    failed: str | None = None  # the step that did
    why: list[str] | None = document()  # codes


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


class ListeningRow(Table, table=True):
    """Who listened or took a copy, when and why: one of each per person, recording and purpose per 30 minutes.

    Goes with the recording.
    """

    __tablename__ = "listenings"
    __table_args__ = (Index("ix_listenings_latest", "recording_id", "actor", "purpose", "at"),)
    id: str = Field(primary_key=True)
    recording_id: str
    actor: str
    role: str
    purpose: str
    act: str = "listened"  # listened | downloaded
    at: datetime = instant(nullable=False)


class TombstoneRow(Table, table=True):
    """What is left of an erased recording, and its certificate."""

    __tablename__ = "tombstones"
    recording_id: str = Field(primary_key=True)
    certificate_id: str = Field(unique=True)
    segment: str | None = None
    reason: str
    ordered_by: str
    due_at: datetime | None = instant()  # after an expiry, all four times are kept to the day only
    key_destroyed_at: datetime | None = instant()
    erased_at: datetime = instant(nullable=False)
    verified_at: datetime | None = instant()
    objects_deleted: int = 0
    unreadable_from: str | None = None  # yyyymmdd


class ForecastRow(Table, table=True):
    """How many stored recordings are meant to expire on a day; the unattended sweep stops where the rows disagree."""

    __tablename__ = "forecast"
    day: str = Field(primary_key=True)
    due: int = 0


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


class AuditRow(Table, table=True):
    __tablename__ = "audit"
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = instant(nullable=False)
    type: str
    actor: str
    subject: str = Field(index=True)
    body: str  # canonical JSON; what `leaf` hashes
    leaf: bytes = blob(nullable=False)


class CompatibilityRow(Table, table=True):
    """The oldest code that can work on this schema, by the last migration it knows: replicas are upgraded in turn."""

    __tablename__ = "compatibility"
    id: int = Field(primary_key=True)
    oldest: str


class AuditHeadRow(Table, table=True):
    __tablename__ = "audit_head"
    id: int = Field(primary_key=True)
    size: int = 0
    latest_at: datetime | None = instant()
