"""What becomes known of a call after its recordings are stored: they are found by it too. Handles personal data."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from recorder import personal
from recorder.actors import SYSTEM
from recorder.ports import Service
from storage import audit
from storage.catalogue import calls, recordings
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording

LATE = ("account", "agent", "case")  # who was called, and by whom, does not change


def relabel(service: Service, call_id: str, now: datetime) -> int:
    """Let a call's stored recordings show its account, agent, case and queue as they are known now; returns how many.

    Raises `StorageError` where a key cannot be had: the next event of the call tries again.
    """
    with service.database.read() as connection:
        stored = [one for one in recordings.of_call(connection, call_id) if one.state == "stored"]
    for one in stored:
        # Keys may have to be fetched: before the transaction, which then finds them at hand.
        service.keyring.key(one.key_id or "", now)
    changed = 0
    for one in stored:
        with service.database.write() as connection:
            call = calls.lock(connection, call_id)
            recording = recordings.lock(connection, one.id)
            if call is not None and recording is not None and _relabel(service, connection, call, recording, now):
                changed += 1
                body = {"queue": call.queue is not None}
                audit.append(
                    connection, type="recording.relabelled", actor=SYSTEM.id, subject=one.id, body=body, now=now
                )
    return changed


def _relabel(service: Service, connection: Connection, call: Call, recording: Recording, now: datetime) -> bool:
    if recording.state != "stored" or recording.dek is None or recording.key_id is None:
        return False
    data = personal.of_call(service, call, now)
    dek = service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now)
    own = personal.unseal(dek, "recordings", recording.id, recording.sealed)
    told = own | {name: data[name] for name in LATE if data.get(name) is not None}
    queue = call.queue or recording.queue
    if (told, queue) == (own, recording.queue):
        return False
    recordings.change(
        connection, recording.id, sealed=personal.seal(dek, "recordings", recording.id, told), queue=queue
    )
    key = service.keyring.key(recording.key_id, now)
    recordings.index_marks(connection, recording.id, personal.marks(key, told))
    return True
