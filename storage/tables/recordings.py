"""Recordings, from the first attempt to what remains of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from storage.tables.base import Table, blob, document, instant


class RecordingRow(Table, table=True):
    __tablename__ = "recordings"
    __table_args__ = (
        Index(
            "ix_recordings_due",
            "state",  # the condition fixes the first two; without statistics SQLite would prefer another index
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
    """Day keys that ever wrapped a recording's data key; the last sets a certificate's `unreadable_in_backups_from`."""

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
