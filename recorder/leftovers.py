"""Copies that lie at a platform and are none of ours: noted, to be deleted there, never fetched."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection

from recorder.events import Event
from recorder.ports import Service
from storage import columns, inbox
from storage.catalogue import leftovers
from storage.catalogue.recordings import Recording
from storage.catalogue.source_deletions import SourceDeletion
from storage.clock import new_id


def recording_ref(service: Service, platform: str, platform_recording_id: str) -> bytes:
    """What a platform's id of a recording is known by; never the same as a call's of that id."""
    return inbox.ref(service.keyring, platform, f"recording:{platform_recording_id}")


def leave(
    service: Service,
    connection: Connection,
    event: Event,
    reason: str,
    now: datetime,
    *,
    recording: Recording | None = None,
) -> None:
    """Note the copy an event tells of. Handles personal data: where it lies is sealed."""
    row_id, key = new_id("src"), service.keyring.inbox_key(now)
    source = {
        "platform": event.platform,
        "call_id": event.call_id,
        "recording_id": event.recording_id,
        "url": event.data.get("url"),
        "content_type": event.data.get("content_type"),
    }
    body = columns.wrap(key, json.dumps(source).encode(), table="source_deletions", column="body", row_id=row_id)
    deletion = SourceDeletion(
        row_id,
        recording_ref(service, event.platform, str(event.recording_id)),
        event.platform,
        reason,
        now,
        now,
        recording_id=recording.id if recording else None,
        key_id=key.id,
        body=body,
    )
    leftovers.note(connection, deletion)
