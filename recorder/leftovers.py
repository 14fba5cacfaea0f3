"""Copies that lie at a platform and are none of ours: noted, to be deleted there, never fetched."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, update

from recorder.events import Event
from recorder.ports import Service
from storage import columns, inbox
from storage.catalogue.recordings import Recording
from storage.catalogue.upsert import insert_new
from storage.clock import new_id
from storage.tables import metadata

source_deletions = metadata.tables["source_deletions"]


def leave(
    service: Service, connection: Connection, event: Event, reason: str, recording: Recording | None, now: datetime
) -> None:
    """Note the copy an event tells of; one that was deleted already and is there again is deleted again."""
    ref = inbox.ref(service.keyring, event.platform, f"recording:{event.recording_id}")
    row_id, key = new_id("src"), service.keyring.inbox_key(now)
    source = {
        "platform": event.platform,
        "call_id": event.call_id,
        "recording_id": event.recording_id,
        "url": event.data.get("url"),
        "content_type": event.data.get("content_type"),
    }
    text = json.dumps(source, ensure_ascii=False).encode()
    row = {
        "id": row_id,
        "recording_ref": ref,
        "recording_id": recording.id if recording else None,
        "platform": event.platform,
        "reason": reason,
        "state": "new",
        "tries": 0,
        "created_at": now,
        "next_try_at": now,
        "key_id": key.id,
        "body": columns.wrap(key, text, table="source_deletions", column="body", row_id=row_id),
    }
    if not insert_new(connection, source_deletions, [row], conflict=["recording_ref"]):
        again = {name: value for name, value in row.items() if name not in {"recording_ref", "recording_id"}}
        statement = update(source_deletions).where(
            source_deletions.c.recording_ref == ref, source_deletions.c.state != "new"
        )
        connection.execute(statement.values(**again))
