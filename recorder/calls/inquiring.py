"""Asking a platform what it recorded of a call, because its own message about a recording may have been lost.

A call that our answer told its platform to record is noted. A while after its end the platform is asked, whatever it
has announced by then: nobody else knows whether that was all. It is asked a few times at most, and no more once it has
answered in full. What it names enters the inbox as if the platform had sent it: where it did send it too, the second is
a repetition, and a recording of a call of which nothing is kept any more is deleted there like any other. Handles
personal data.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from recorder.calls import intake
from recorder.calls.family import Family
from recorder.consent import barred, standing
from recorder.errors import PlatformError
from recorder.events import Event
from recorder.ports import Listing, Service
from storage import columns, inbox
from storage.catalogue import calls, inquiries, recordings, tasks
from storage.catalogue.calls import Call
from storage.catalogue.inquiries import Inquiry
from storage.errors import KeyDestroyedError, RecorderError

FIRST_WAIT, GROWTH = timedelta(minutes=15), 4
MOST_TRIES = 4  # the last one 21 hours after the call's end: within the day for which a yes is waited for
LEASE = timedelta(minutes=10)  # a platform that drips may take half a minute for each page of its list
THANKED = timedelta(seconds=30)  # who hangs up before the thanks are over was not recorded yet
MISSING = "recording_missing"

log = structlog.get_logger(__name__)


def note(service: Service, connection: Connection, agreed: Event, now: datetime) -> None:
    """Remember that a call's platform was told to record it."""
    ref = inbox.ref(service.keyring, agreed.platform, agreed.call_id)
    key = service.keyring.inbox_key(now)
    body = columns.wrap(key, agreed.call_id.encode(), table="inquiries", column="body", row_id=ref.hex())
    inquiries.add(connection, Inquiry(ref, agreed.platform, now + FIRST_WAIT, key.id, body))


def ask_platforms(service: Service, now: datetime, limit: int = 50) -> int:
    """Ask about the calls that are due; returns how many were looked at."""
    for looked_at in range(limit):
        with service.database.write() as connection:
            one = inquiries.claim(connection, now, now + LEASE)
        if one is None:
            return looked_at
        _look(service, one, now)
    return limit


def _look(service: Service, one: Inquiry, now: datetime) -> None:
    with service.database.read() as connection:
        due = _due(calls.by_ref(connection, one.call_ref), now)
    if due > now:
        _put_off(service, one, due)
    elif one.tries < MOST_TRIES:
        _ask(service, one, now)
    else:  # a process died before it could note the last answer
        _close(service, one, now, missing=True)


def _ask(service: Service, one: Inquiry, now: datetime) -> None:
    with service.database.write() as connection:
        if not inquiries.count(connection, one):
            return
    found = _taken_in(service, one, now)
    if (found is None or found.unfinished) and one.tries + 1 < MOST_TRIES:
        _put_off(service, one, now + FIRST_WAIT * GROWTH ** (one.tries + 1))
    else:
        _close(service, one, now, missing=found is None or not found.events)


def _put_off(service: Service, one: Inquiry, until: datetime) -> None:
    with service.database.write() as connection:
        inquiries.put_off(connection, one, until)


def _due(call: Call | None, now: datetime) -> datetime:
    """When to ask: a while after the call's end; at once for a call that is gone, as what lies there must go."""
    if call is None:
        return now
    return now + FIRST_WAIT if call.state == "open" else (call.ended_at or call.opened_at) + FIRST_WAIT


def _taken_in(service: Service, one: Inquiry, now: datetime) -> Listing | None:
    """What the platform says, taken in; None where it said nothing."""
    platform = service.platforms.get(one.platform)
    try:
        if platform is None:
            raise PlatformError("the platform is not configured")
        key = service.keyring.key(one.key_id, now)
        call_id = columns.unwrap(key, one.body, table="inquiries", column="body", row_id=one.call_ref.hex())
        found = platform.recordings(call_id.decode(), now)
        for event in found.events:
            intake.submit(service, event, now).result()
    except RecorderError as error:
        log.warning("inquiry.unanswered", platform=one.platform, tries=one.tries, code=error.code)
        return None
    if found.events:
        service.wake("apply")
    return found


def _close(service: Service, one: Inquiry, now: datetime, *, missing: bool) -> None:
    with service.database.write() as connection:
        if not inquiries.done(connection, one) or not missing:
            return
        call = calls.by_ref(connection, one.call_ref)
        if call is not None and _owed(service, connection, call, now):
            tasks.open_task(connection, MISSING, call.id, now)


def _owed(service: Service, connection: Connection, call: Call, now: datetime) -> bool:
    """Whether there should be a recording of the call, though we never heard of one."""
    if recordings.of_call(connection, call.id):
        return False
    try:
        known = Family(connection, call).facts(service, now)
    except KeyDestroyedError:
        return False
    agreed = [fact.received_at for fact in standing(known)]
    if barred(known) is not None or not agreed:
        return False
    return call.ended_at is None or call.ended_at - max(agreed) >= THANKED
