"""Copies that lie at a platform and are none of ours: noted, to be deleted there, never fetched."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from recorder import sources
from recorder.events import Event
from recorder.ports import Service, Source
from storage import inbox
from storage.catalogue import leftovers
from storage.catalogue.recordings import Recording


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
    source = Source(
        event.platform, event.call_id, str(event.recording_id), event.data.get("url"), event.data.get("content_type")
    )
    ref = recording_ref(service, source.platform, source.recording_id)
    leftovers.note(connection, sources.lying(service, source, ref, reason, now, recording.id if recording else None))
