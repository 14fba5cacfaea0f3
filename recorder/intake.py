"""Events of our own making enter the inbox by the door that platforms' messages come through."""

from __future__ import annotations

from datetime import datetime

from recorder.events import Event, encode
from recorder.ports import Service
from storage import inbox


def take_in(service: Service, event: Event, now: datetime) -> bytes:
    """Return, once the event is durable, what its call is known by; a repetition already is. Raises `StorageError`."""
    ref = inbox.ref(service.keyring, event.platform, event.call_id)
    mark = inbox.dedupe_mark(service.keyring, event.platform, event.key)
    service.inbox.submit(event.platform, ref, mark, encode(event), now).result()
    return ref
