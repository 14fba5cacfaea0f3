"""The other end of a recording's life: nothing of it is kept, here or at its platform. Handles personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recorder import sources
from recorder.actors import SYSTEM
from recorder.ports import Service
from storage import audit
from storage.catalogue import attempts, evidence, recordings, tasks
from storage.catalogue import calls as call_rows
from storage.catalogue.recordings import Recording


def discard(
    service: Service, connection: Connection, recording: Recording, data: dict[str, Any], reason: str, now: datetime
) -> audit.Entry:
    """Keep nothing of a recording but that there was one: no times, nothing personal. Its platform copy goes too.

    The caller writes the entry returned to the audit log, last in its transaction.
    """
    evidence.time_answers(connection, call_rows.family(connection, recording.call_id), [recording.id])
    recordings.change(
        connection,
        recording.id,
        state="discarded",
        reason=reason,
        lease=None,
        lease_until=None,
        next_try_at=None,
        started_at=None,
        ended_at=None,
        available_at=None,
        duration_ms=None,
        sealed=None,
        dek=None,
    )
    attempts.lose(connection, recording.id, kept=True)
    sources.note(service, connection, recording, data, reason, now)
    if reason == "class_unknown":
        tasks.open_task(connection, reason, recording.id, now)
    call_rows.change(connection, recording.call_id, when={"state": "over"}, settle_at=now)
    return audit.Entry("recording.discarded", SYSTEM.id, recording.id, {"reason": reason})
