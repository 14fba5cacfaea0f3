"""The way into the inbox, whoever brings an event: gives the event and its call the marks they are known by there."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime

from recorder.events import Event, encode
from recorder.ports import Service
from storage import inbox


def submit(service: Service, event: Event, now: datetime) -> Future[bool]:
    """Queue an event; once it is durable, the future says whether it was new. See `Inbox.submit`."""
    ref = inbox.ref(service.keyring, event.platform, event.call_id)
    mark = inbox.dedupe_mark(service.keyring, event.platform, event.key)
    return service.inbox.submit(event.platform, ref, mark, encode(event), now)
