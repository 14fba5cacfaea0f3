"""Keeps held recordings where no deletion rule of the bucket reaches them, and everything else where one does.

A hold may outlive the day on which the bucket's own rule deletes by class. So the objects of a held recording are
copied to `hold/…` within the store, and every version of the old ones is removed. Bytes and keys stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from recorder.actors import SYSTEM
from recorder.capture.uploading import erase_buried, erase_lost
from recorder.faultpoints import reached
from recorder.ports import Service
from recorder.segments import SEGMENTS
from storage.catalogue import attempts, holds, recordings, tasks
from storage.catalogue.attempts import Attempt
from storage.clock import new_id, utc_day
from storage.errors import StorageError
from storage.objects import HELD

REMEMBERED = timedelta(days=1)  # copies that failed: there may be one of each object every five minutes
LATE_AFTER = timedelta(hours=1)  # after the hold was placed; what is away for minutes is no matter
STUCK = "hold_not_sheltered"

log = structlog.get_logger(__name__)


def set_backstop(service: Service) -> None:
    """Have the store delete by itself whatever we fail to delete. Idempotent; raises what the store raises."""
    service.vault.objects.set_backstop([f"{folder}/" for folder in (*SEGMENTS, "doctor")])


def shelter(service: Service, now: datetime, limit: int = 100) -> int:
    """Move the objects of held recordings; returns how many recordings were moved. What fails is tried again later."""
    with service.database.read() as connection:
        waiting = attempts.unsheltered(connection, limit)
    moved, stuck = 0, []
    for recording_id in waiting:
        try:
            moved += _shelter(service, recording_id, now)
        except StorageError as error:
            log.warning("hold.not_sheltered", recording_id=recording_id, code=error.code)
            stuck.append(recording_id)
    _tell(service, stuck, now)
    return moved


def _tell(service: Service, stuck: Sequence[str], now: datetime) -> None:
    """Have people look at what could not be moved within the hour, until it is or need not be any more."""
    with service.database.read() as connection:
        told = {task.subject_id for task in tasks.open_tasks(connection, kind=STUCK)}
        over = told - attempts.still_unsheltered(connection, told)
        standing = holds.standing(connection, stuck)
    late = {one for one, theirs in standing.items() if now - theirs[0].placed_at >= LATE_AFTER} - told
    if not over and not late:
        return
    with service.database.write() as connection:
        for recording_id in over:
            tasks.close_task(connection, STUCK, recording_id, SYSTEM.id, now)
        for recording_id in late:
            tasks.open_task(connection, STUCK, recording_id, now)


def _shelter(service: Service, recording_id: str, now: datetime) -> bool:
    """Copies are on record before they are made, and read from only once they are whole."""
    copies = _begin(service, recording_id, now)
    if not copies:  # its last hold has ended meanwhile, or another was faster
        return False
    try:
        for old, copy in copies:
            tags = {"segment": copy.object_key.split("/")[1], "hold": "1"}
            sealed_bytes = old.sealed_bytes or 0
            service.vault.copy_object(old.object_key, copy.object_key, sealed_bytes=sealed_bytes, tags=tags)
            reached("hold.copied")
    except StorageError:
        _end(service, recording_id, copies, whole=False)
        raise
    return _end(service, recording_id, copies, whole=True)


def _begin(service: Service, recording_id: str, now: datetime) -> list[tuple[Attempt, Attempt]]:
    with service.database.write() as connection:
        recording = recordings.lock(connection, recording_id)
        if recording is None or recording.state != "stored" or not recording.holds:
            return []
        if recording.segment is None or recording.expires_at is None:
            return []
        away = [one for one in attempts.kept(connection, recording_id).values() if not one.object_key.startswith(HELD)]
        if not away:
            return []
        day = utc_day(recording.expires_at)
        copies = [(old, _copy(service, old, service.vault.held_key(recording.segment, day), now)) for old in away]
        attempts.begin_copies(connection, recording_id, [copy for _, copy in copies], now - REMEMBERED)
    reached("hold.copying")
    return copies


def _end(service: Service, recording_id: str, copies: list[tuple[Attempt, Attempt]], *, whole: bool) -> bool:
    """Switch to the copies and remove what they were made from; where anything changed meanwhile, drop the copies."""
    with service.database.write() as connection:
        recording = recordings.lock(connection, recording_id)
        stored = recording is not None and recording.state == "stored"
        taken = whole and stored and attempts.take_over(connection, {old.id: copy for old, copy in copies})
        if not taken:
            attempts.lose_these(connection, [copy.id for _, copy in copies])
    reached("hold.moved")
    erase_lost(service, recording_id)
    erase_buried(service, [copy for _, copy in copies])
    return taken


def _copy(service: Service, old: Attempt, key: str, now: datetime) -> Attempt:
    upload_id = service.vault.upload_id()
    return replace(old, id=new_id("att"), object_key=key, upload_id=upload_id, created_at=now, state="open")
