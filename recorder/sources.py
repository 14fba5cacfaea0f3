"""Deletes what lies at a platform once it is kept here, was refused, or never was ours. Handles personal data.

What is not ours is never fetched. The note of a copy is made in the transaction that decides about the recording,
and goes when the platform has said that the copy is gone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from recorder.actors import SYSTEM
from recorder.errors import PlatformError
from recorder.events import Event
from recorder.faultpoints import reached
from recorder.ports import Service, Source
from storage import audit, columns, inbox
from storage.catalogue import source_deletions, tasks
from storage.catalogue.recordings import Recording
from storage.catalogue.source_deletions import SourceDeletion
from storage.clock import new_id
from storage.errors import KeyDestroyedError, RecorderError, StorageError

LEASE = timedelta(seconds=60)
FIRST_WAIT_S, LONGEST_WAIT_S = 10, 3600
ONCE_LATE = timedelta(days=1)  # inbox keys live for eight days
FAILED = "source_deletion_failed"

log = structlog.get_logger(__name__)


def note(
    service: Service, connection: Connection, recording: Recording, data: dict[str, Any], reason: str, now: datetime
) -> None:
    """Note the platform's copy of a recording; `data` is what is personal about it."""
    if recording.ref is None or data.get("platform_recording_id") is None:
        return
    deletion = _lying(service, place(recording, data), recording.ref, reason, now, recording.id)
    source_deletions.add(connection, deletion)


def leave(
    service: Service,
    connection: Connection,
    event: Event,
    reason: str,
    now: datetime,
    *,
    recording: Recording | None = None,
) -> None:
    """Note the copy an event tells of, where its recording is gone here or never was ours."""
    source = Source(
        event.platform, event.call_id, str(event.recording_id), event.data.get("url"), event.data.get("content_type")
    )
    ref = recording_ref(service, source.platform, source.recording_id)
    recording_id = recording.id if recording else None
    source_deletions.add_again(connection, _lying(service, source, ref, reason, now, recording_id))


def recording_ref(service: Service, platform: str, platform_recording_id: str) -> bytes:
    """What a platform's id of a recording is known by; never the same as a call's of that id."""
    return inbox.ref(service.keyring, platform, f"recording:{platform_recording_id}")


def place(recording: Recording, data: dict[str, Any]) -> Source:
    """Where a recording lies, by what is personal about it."""
    return Source(
        platform=recording.platform,
        call_id=data.get("platform_call_id") or "",
        recording_id=data.get("platform_recording_id") or "",
        url=data.get("url"),
        content_type=data.get("content_type"),
    )


def _lying(
    service: Service, source: Source, recording_ref: bytes, reason: str, now: datetime, recording_id: str | None
) -> SourceDeletion:
    """A note of a platform's copy; where it lies is sealed under today's inbox key."""
    row_id, key = new_id("src"), service.keyring.inbox_key(now)
    body = columns.wrap(
        key, json.dumps(asdict(source)).encode(), table="source_deletions", column="body", row_id=row_id
    )
    return SourceDeletion(
        row_id, recording_ref, source.platform, reason, now, now, recording_id, key_id=key.id, body=body
    )


def delete_at_sources(service: Service, now: datetime, limit: int = 50) -> int:
    """Delete what is due at the platforms; returns how many copies are gone. What fails is tried again, for days."""
    done = 0
    for _ in range(limit):
        with service.database.write() as connection:  # makes this durable, and all before it that says the copy must go
            one = source_deletions.claim(connection, now, now + LEASE)
        if one is None:
            break
        done += _delete(service, one, now)
    return done


def _delete(service: Service, one: SourceDeletion, now: datetime) -> bool:
    try:
        source = _opened(service, one, now)
        platform = service.platforms.get(one.platform)
        if platform is None:
            raise PlatformError("the platform is not configured")
        gone = platform.delete(source)
    except KeyDestroyedError:
        _give_up(service, one, now)
        return False
    except RecorderError as error:
        log.warning("source.not_deleted", source_deletion_id=one.id, code=error.code)
        _try_later(service, one, now)
        return False
    reached("source.deleted")
    with service.database.write() as connection:
        if not source_deletions.change(connection, one, state="done", done_at=now, body=None, key_id=None):
            return False
        tasks.close_task(connection, FAILED, _about(one), SYSTEM.id, now)
        _log(connection, "source.deleted" if gone else "source.left", one, now)
    return True


def _opened(service: Service, one: SourceDeletion, now: datetime) -> Source:
    if one.key_id is None or one.body is None:
        raise KeyDestroyedError
    key = service.keyring.key(one.key_id, now)
    text = columns.unwrap(key, one.body, table="source_deletions", column="body", row_id=one.id)
    return Source(**json.loads(text))


def _try_later(service: Service, one: SourceDeletion, now: datetime) -> None:
    """Put a deletion off, under today's key: the one it was noted under lives for days only.

    A copy that will not go for days is a task too; tries go on until it is gone, or people say that they saw to it.
    """
    late = now - one.created_at >= timedelta(days=service.settings.capture.source_delete_days)
    wait = ONCE_LATE if late else timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(one.tries - 1, 20)))
    wrapped: dict[str, object] = {}
    with suppress(StorageError):
        wrapped = _under_todays_key(service, one, now)
    with service.database.write() as connection:
        if source_deletions.change(connection, one, next_try_at=now + wait, **wrapped) and late:
            _ask_people(connection, one, now)


def _under_todays_key(service: Service, one: SourceDeletion, now: datetime) -> dict[str, object]:
    today = service.keyring.inbox_key(now)
    if one.key_id is None or one.body is None or one.key_id == today.id:
        return {}
    at = {"table": "source_deletions", "column": "body", "row_id": one.id}
    text = columns.unwrap(service.keyring.key(one.key_id, now), one.body, **at)
    return {"key_id": today.id, "body": columns.wrap(today, text, **at)}


def _give_up(service: Service, one: SourceDeletion, now: datetime) -> None:
    """Give up a copy: the key is gone, so nobody knows any more where it lies."""
    with service.database.write() as connection:
        if source_deletions.change(connection, one, state="failed", body=None, key_id=None):
            _ask_people(connection, one, now)


def _ask_people(connection: Connection, one: SourceDeletion, now: datetime) -> None:
    if tasks.open_task(connection, FAILED, _about(one), now):
        _log(connection, "source.deletion_failed", one, now)


def _log(connection: Connection, kind: str, one: SourceDeletion, now: datetime) -> None:
    body = {"platform": one.platform, "reason": one.reason}
    audit.append(connection, type=kind, actor=SYSTEM.id, subject=_about(one), body=body, now=now)


def _about(one: SourceDeletion) -> str:
    return one.recording_id or one.id
