"""The second half of an erasure: delete every object, look again, and only then let a tombstone take the row's place.

Works on recordings already claimed (`erasing`), whose keys are gone. May be repeated from the start at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from recorder import subscriptions
from recorder.actors import SYSTEM
from recorder.erasure import certificates, notes
from recorder.faultpoints import reached
from recorder.ports import Service
from storage import audit
from storage.audit import Entry
from storage.catalogue import erasing, tasks, tombstones
from storage.catalogue.erasing import Claimed
from storage.catalogue.tombstones import Tombstone
from storage.clock import running
from storage.errors import StorageError, StoreRefusedError

BATCH = 200  # recordings per transaction: meanwhile webhooks, and acts that write to the audit log, may have to wait
LATE_AFTER = timedelta(hours=1)  # P3: within the hour no version of the object is left
LATE = "erasure_late"

log = structlog.get_logger(__name__)


def finish(service: Service, ids: Sequence[str], now: datetime) -> dict[str, Tombstone]:
    """Delete objects; returns tombstones of recordings verified gone. Others are tried again, and alarm when late."""
    with service.database.read() as connection:
        rows = erasing.rows(connection, ids)
        objects = erasing.objects(connection, ids)
        days = erasing.last_key_days(connection, ids)
    clock = running(now)
    service.vault.forget(*(recording.id for recording in rows))
    noted = _noted(service, rows, days, now)
    removed = _delete(service, rows, objects, clock)
    reached("erase.deleted")
    gone = [one.id for one in noted if one.id in removed]
    batches = (gone[at : at + BATCH] for at in range(0, len(gone), BATCH))
    stones = [stone for some in batches for stone in _bury(service, {one: removed[one] for one in some}, clock())]
    reached("erase.buried")
    if rows:
        service.database.forget()  # their keys too, should the objects have to wait
    return {stone.recording_id: stone for stone in stones}


def _noted(service: Service, rows: Sequence[Claimed], days: dict[str, str], now: datetime) -> list[Claimed]:
    """Those that may be certified. A ring that is away keeps certificates back, not the deletion: it is asked once."""
    needed = {one.id: notes.needed(one, days.get(one.id), now) for one in rows}
    noted = [recording for recording in rows if not needed[recording.id]]
    for recording in (one for one in rows if needed[one.id]):
        try:
            notes.write(service, recording, days.get(recording.id), now)
        except StorageError as error:
            _try_again(service, recording, error, now)
            if not isinstance(error, StoreRefusedError):
                break  # the others would only wait for the same answer
        else:
            noted.append(recording)
    return noted


def _delete(
    service: Service, rows: Sequence[Claimed], objects: dict[str, dict[str, str]], clock: Callable[[], datetime]
) -> dict[str, int]:
    """Delete the objects; returns how many there were, for each recording of which none is left.

    All go at once; where that fails, in halves, so that one the store will not let go of holds back no other. A store
    that is away is not asked again.
    """
    removed: dict[str, int] = {}
    waiting = [rows] if rows else []
    while waiting:
        some = waiting.pop()
        try:
            removed |= _deleted(service, {one.id: objects.get(one.id, {}) for one in some})
        except StorageError as error:
            away = not service.vault.answers()
            if away or len(some) == 1:
                _try_again(service, some[0], error, clock())
            else:
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
            if away:
                break  # the others would only wait for the same answer
    return removed


def _deleted(service: Service, objects: dict[str, dict[str, str]]) -> dict[str, int]:
    went = service.vault.erase_objects([key for states in objects.values() for key in states])
    # After a crash between deleting and counting nothing more is found to delete: what was kept is what was deleted.
    return {
        recording_id: max(sum(went[key] for key in states), sum(state == "kept" for state in states.values()))
        for recording_id, states in objects.items()
    }


def _try_again(service: Service, recording: Claimed, error: StorageError, now: datetime) -> None:
    log.warning("erasure.delayed", recording_id=recording.id, code=error.code)
    delay = timedelta(seconds=min(300, 5 * 2 ** min(recording.tries, 10)))
    with service.database.write() as connection:
        erasing.retry_later(connection, recording.id, now + delay)
        if now - (recording.erasing_since or now) >= LATE_AFTER:
            tasks.open_task(connection, LATE, recording.id, now)


def _bury(service: Service, gone: dict[str, int], now: datetime) -> list[Tombstone]:
    """Replace rows by tombstones. Of two workers at the same recording, the second finds no row and buries nothing."""
    secret = service.keyring.service_key(certificates.NUMBERS)
    with service.database.write() as connection:
        rows = erasing.rows(connection, list(gone), lock=True)
        days = erasing.last_key_days(connection, list(gone))
        stones = [
            certificates.tombstone(
                recording,
                certificate_id=recording.certificate_id or certificates.number(secret, recording.id),
                objects_deleted=gone[recording.id],
                last_key_day=days.get(recording.id),
                now=now,
            )
            for recording in rows
        ]
        tombstones.insert_all(connection, stones)
        erasing.retire(connection, rows, now)
        for recording in rows:
            if recording.tries:
                tasks.close_task(connection, LATE, recording.id, SYSTEM.id, now)
        told = [{"recording_id": one.recording_id, "certificate_id": one.certificate_id} for one in stones]
        subscriptions.tell(service, connection, "recording.erased", told, now)
        if stones:
            audit.append_many(connection, [_entry(stone) for stone in stones], now=now)
    return stones


def _entry(stone: Tombstone) -> Entry:
    body = {
        "reason": stone.reason,
        "certificate_id": stone.certificate_id,
        "objects_deleted": stone.objects_deleted,
    }
    return Entry("recording.erased", SYSTEM.id, stone.recording_id, body)
