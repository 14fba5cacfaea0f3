"""What becomes known of a call after its recordings are captured: they are found by it too. Handles personal data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recorder import personal
from recorder.actors import SYSTEM
from recorder.ports import Service
from storage import audit
from storage.catalogue import calls, recordings
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording

LATE = ("account", "agent", "case")  # whose number it was changes only where a leg turns out to be a call


def labels(call: Call, data: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a call that its recordings are found by and that may become known late."""
    return {name: data.get(name) for name in LATE} | {"queue": call.queue}


def late(service: Service, call: Call, now: datetime) -> dict[str, Any]:
    """What is known by now of a locked call; it replaces what was known when work on its audio began."""
    told = personal.of_call(service, call, now)
    told["phone"] = personal.customer_number(call.direction, told)
    return {name: told[name] for name in ("phone", *LATE) if told.get(name) is not None}


def relabel(service: Service, recording: Recording, now: datetime) -> bool:
    """Let a stored recording show its call's account, agent, case and queue as known now; whether that changed it.

    Raises `StorageError` where a key cannot be had.
    """
    service.keyring.key(recording.key_id or "", now)  # may have to be fetched: before the transaction
    with service.database.write() as connection:
        call = calls.lock(connection, recording.call_id)
        current = recordings.lock(connection, recording.id)
        if call is None or current is None or not _relabel(service, connection, call, current, now):
            return False
        body = {"queue": call.queue is not None}
        audit.append(connection, type="recording.relabelled", actor=SYSTEM.id, subject=current.id, body=body, now=now)
    return True


def _relabel(service: Service, connection: Connection, call: Call, recording: Recording, now: datetime) -> bool:
    if recording.state != "stored" or recording.dek is None or recording.key_id is None:
        return False
    dek = service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now)
    own = personal.unseal(dek, "recordings", recording.id, recording.sealed)
    told = own | late(service, call, now)
    queue = call.queue or recording.queue
    if (told, queue) == (own, recording.queue):
        return False
    recordings.change(
        connection, recording.id, sealed=personal.seal(dek, "recordings", recording.id, told), queue=queue
    )
    key = service.keyring.key(recording.key_id, now)
    recordings.index_marks(connection, recording.id, personal.marks(key, told))
    return True
