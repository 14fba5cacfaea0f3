"""After a restore: what a backup brings back although it was erased goes again, and objects it knows nothing of go too.

Both go by the key ring and the store, which are not restored with the database. So they need not be told that there was
a restore; where there was none, they find nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from recorder import erasure
from recorder.actors import SYSTEM
from recorder.erasure import disposal, notes
from recorder.errors import RecordingNotFoundError
from recorder.ports import Service
from recorder.segments import SEGMENTS
from storage import audit
from storage.catalogue import attempts, erasing, tasks
from storage.catalogue.erasing import Order
from storage.clock import utc_day
from storage.objects import HELD

TASK = "restored"
DAYS_BACK = 7  # of prefixes looked at: an object of a day that is over should be gone within the hour
BATCH = 500

log = structlog.get_logger(__name__)


def erase_again(service: Service, now: datetime) -> int:
    """Erase what was erased before and is back; returns how many recordings that were.

    Nothing of them opens once this has returned, whether or not a store can be reached. Raises `StorageError` where
    the ring cannot be asked.
    """
    noted = notes.all_names(service)
    back: list[str] = []
    for ids in _in_batches(sorted(noted)):
        with service.database.read() as connection:
            back += erasing.standing(connection, ids)
    for recording_id in back:
        note = notes.read(service, noted[recording_id])
        # Another replica that was started at the same time may have done it already.
        with suppress(RecordingNotFoundError), service.database.write() as connection:
            order = Order(note.reason, note.ordered_by, now)
            entries = erasure.again(service, connection, recording_id, order, now)
            tasks.open_task(connection, TASK, "database", now)
            audit.append_many(connection, entries, now=now)
    if back:
        log.warning("restore.erased_again", recordings=len(back))
        disposal.finish(service, back, now)
    return len(back)


def clear_past_days(service: Service, now: datetime) -> int:
    """Delete objects of days that are over and that no recording knows; returns how many there were.

    They were captured, or moved for a hold, after the restored backup was made. Nobody can open them: their data keys
    went with their rows, or with their day. Raises `StorageError`.
    """
    cleared = 0
    for back in range(1, DAYS_BACK + 1):
        day = f"{utc_day(now) - timedelta(days=back):%Y%m%d}"
        for segment in SEGMENTS:
            for keys in _in_batches(_ours(service, f"{segment}/{day}/").get(day, [])):
                cleared += _clear(service, day, keys, now)
    for day, held in sorted(_ours(service, HELD).items()):  # of every day: no rule of a bucket ever reaches these
        if day < f"{utc_day(now):%Y%m%d}":
            for keys in _in_batches(held):
                cleared += _clear(service, day, keys, now)
    return cleared


def _ours(service: Service, prefix: str) -> dict[str, list[str]]:
    """The objects of ours below a prefix, by the day on which they expire or, without their hold, would have."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in service.vault.objects.keys(prefix):
        if (day := service.vault.expiry_in(key)) is not None:
            found[day].append(key)
    return found


def _clear(service: Service, day: str, keys: Sequence[str], now: datetime) -> int:
    with service.database.read() as connection:
        unknown = sorted(set(keys) - attempts.known(connection, keys))
    if not unknown:
        return 0
    for key in unknown:
        service.vault.erase_object(key)
    log.warning("restore.objects_cleared", day=day, objects=len(unknown))
    with service.database.write() as connection:
        body = {"day": day, "objects": len(unknown)}
        audit.append(connection, type="objects.cleared", actor=SYSTEM.id, subject="store", body=body, now=now)
    return len(unknown)


def _in_batches(things: Sequence[str]) -> Iterator[Sequence[str]]:
    return (things[at : at + BATCH] for at in range(0, len(things), BATCH))
