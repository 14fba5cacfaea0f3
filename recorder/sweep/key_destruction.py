"""Destroying keys on time: the promise that reaches into backups. Never waits for an object store.

A day key goes when its UTC day is over, an inbox key after 8 days. First it is closed against new wraps; then due
recordings that still hang on it lose their data keys, and everything else it sealed is blanked, a slice at a time: what
a crash leaves undone the next call goes on with. A key that something held still hangs on stays, and people are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import structlog
from sqlalchemy import Connection

from recorder import erasure, personal, sources
from recorder.actors import SYSTEM
from recorder.calls import FAILED as EVENT_FAILED
from recorder.erasure import disposal
from recorder.faultpoints import reached
from recorder.holds import review_holds
from recorder.ports import Service
from storage import audit
from storage.audit import Entry
from storage.catalogue import blanking, relatives, sweeping, tasks
from storage.errors import StorageError
from storage.keyobjects import KeyName
from storage.keyring import INBOX_DAYS

LATE = "key_overdue"

log = structlog.get_logger(__name__)


def destroy_due_keys(service: Service, now: datetime) -> int:
    """Destroy every key whose time is over, whether or not an object store answers; returns how many went.

    Reviews holds first, so that no key takes a held recording with it. A key ring that does not answer is asked
    again by the next call; from 01:00 UTC on that is a task for people too. Does not look at the brakes: `sweep` does.
    """
    review_holds(service, now)
    return sum(_destroy(service, name, now) for name in service.keyring.due_for_destruction(now))


def _destroy(service: Service, name: KeyName, now: datetime) -> bool:
    def note(connection: Connection) -> None:
        tasks.close_task(connection, LATE, name.id, SYSTEM.id, now)
        body = {"purpose": name.purpose, "day": name.folder}
        audit.append(connection, type="key.destroyed", actor=SYSTEM.id, subject=name.id, body=body, now=now)

    try:
        if _release(service, name, now):
            reached("sweep.key_released")
            service.keyring.destroy(name.id, now, note)
            return True
    except StorageError as error:
        log.warning("key.not_destroyed", key_id=name.id, code=error.code)
    if now >= _deadline(name):
        with service.database.write() as connection:
            tasks.open_task(connection, LATE, name.id, now)
    return False


def _release(service: Service, name: KeyName, now: datetime) -> bool:
    """Close a key and let go of all that hangs on it; False where something that is to be kept still does."""
    if name.purpose == "day":
        with service.database.write() as connection:
            service.keyring.close_day(connection, date.fromisoformat(name.folder))
    while _claim_some(service, name, now):
        pass
    with service.database.read() as connection:
        if sweeping.named_by_stored(connection, name.id):
            return False
    while _let_go_some(service, name, now):
        reached("sweep.let_go")
    return True


def _let_go_some(service: Service, name: KeyName, now: datetime) -> bool:
    """Let go of a slice of a key's calls; once none are left, let go of the rest and return False."""
    with service.database.write() as connection:
        call_ids = sweeping.calls_of(connection, name.id, disposal.BATCH)
        if call_ids:
            _let_go_of(service, connection, name, call_ids, now)
            return True
        for event in sweeping.let_go_of_rest(connection, name.id, date.fromisoformat(name.folder)):
            tasks.open_task(connection, EVENT_FAILED, event, now)
        return False


def _let_go_of(service: Service, connection: Connection, name: KeyName, call_ids: Sequence[str], now: datetime) -> None:
    """Let these calls go whole: what nobody can open any more is not kept in part."""
    relatives.lock(connection, call_ids)
    for call, recording in sweeping.never_stored(connection, name.id, call_ids):
        data = personal.left_of(service, call, recording, now)
        sources.note(service, connection, recording, data, "expired", now)
        tasks.close_task(connection, "capture_failed", recording.id, SYSTEM.id, now)
    let_go = sweeping.let_go_of_calls(connection, name.id, call_ids)
    blanking.blank_calls(connection, let_go.calls, now)
    entries = [Entry("recording.discarded", SYSTEM.id, one, {"reason": "expired"}) for one in let_go.recordings]
    entries += [Entry("call.let_go", SYSTEM.id, one, {}) for one in let_go.calls]
    audit.append_many(connection, entries, now=now)


def _claim_some(service: Service, name: KeyName, now: datetime) -> list[Entry]:
    with service.database.read() as connection:
        ids = sweeping.due_ids(connection, now, disposal.BATCH, key_id=name.id)
    if not ids:
        return []
    with service.database.write() as connection:
        entries = erasure.claim_due(connection, ids, SYSTEM, now)
        if entries:
            audit.append_many(connection, entries, now=now)
    return entries


def _deadline(name: KeyName) -> datetime:
    """01:00 UTC of the day on which the key is due."""
    days = 1 + (INBOX_DAYS if name.purpose == "inbox" else 0)
    return datetime.combine(date.fromisoformat(name.folder) + timedelta(days=days), time(1), UTC)
