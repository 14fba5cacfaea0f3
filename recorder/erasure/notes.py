"""Notes of what was erased before its last key was. They lie in the key ring, which is not restored with a backup.

What expires with its key needs no note: nobody can open it, whatever is restored. A note holds a random id and two
codes, sealed like a key. It lies beside the last key that could open the recording, and goes with it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from recorder.erasure.certificates import EXPIRED
from recorder.ports import Service
from storage.catalogue.erasing import Claimed
from storage.clock import utc_day
from storage.errors import StorageError
from storage.keyobjects import KeyName

LONGEST_KEPT = timedelta(days=90)
UNHEARD = "canary"  # nobody is heard in those
KIND = "rec"  # what ids of recordings begin with


@dataclass(frozen=True)
class Note:
    reason: str
    ordered_by: str


def needed(recording: Claimed, last_key_day: str | None, now: datetime) -> bool:
    """Whether a key that opened the recording outlives it. What was held expires under the key of a later day."""
    if recording.erase_reason in {None, EXPIRED}:
        return last_key_day is not None and last_key_day > f"{utc_day(now):%Y%m%d}"
    return recording.erase_reason != UNHEARD


def write(service: Service, recording: Claimed, last_key_day: str | None, now: datetime) -> None:
    """Idempotent. Raises `StorageError` where the ring does not take it."""
    note = Note(recording.erase_reason or EXPIRED, recording.erase_ordered_by or "")
    day = last_key_day or f"{utc_day(now + LONGEST_KEPT):%Y%m%d}"
    service.keyring.note(KeyName(recording.id, day), json.dumps(asdict(note)).encode())


def all_names(service: Service) -> dict[str, KeyName]:
    """Where the note of each recording lies, by its id."""
    return {name.id: name for name in service.keyring.notes(KIND)}


def read(service: Service, name: KeyName) -> Note:
    """Raises `StorageError`."""
    return Note(**json.loads(service.keyring.read_note(name)))


def forget(service: Service, now: datetime) -> None:
    """Remove the notes of days that are over; a ring that is away is asked again by the next sweep."""
    with suppress(StorageError):
        service.keyring.forget_notes(KIND, now)
