"""Applies what the inbox has taken in: every event once, call by call, whatever order events come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from recorder.actors import SYSTEM
from recorder.calls import announcing, applying, intake, newcomers, parting, settling
from recorder.calls.case import Case, put, taken
from recorder.calls.relabelling import labels
from recorder.errors import CallNotFoundError
from recorder.events import Event, ReceivedEvent, decode
from recorder.ports import Service
from storage import audit, inbox
from storage.catalogue import calls, relatives, tasks
from storage.catalogue.calls import Call
from storage.errors import DatabaseBusyError, DatabaseUnavailableError, RecorderError
from storage.inbox import Inbox, InboxItem

FAILED = "event_failed"
LOOKS = 5  # so many rounds' worth of events may be impossible to apply, before newer ones have to wait for them
SLICE = 200  # events of one call applied in one transaction: webhooks may have to wait for it

Known = Mapping[str, Event]  # by inbox id

log = structlog.get_logger(__name__)


@dataclass
class Applied:
    """What a round of applying did, still to be written to the audit log or looked after."""

    call_id: str | None = None
    count: int = 0
    unknown: bool = False  # whose call it is must be asked of the directory
    entries: list[audit.Entry] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    more: bool = False  # another worker is at the call, or not all of its events were applied


class Round(NamedTuple):
    """`applied` counts events. There is `more` after a full round, and where other workers are at some of the calls."""

    applied: int
    more: bool


def apply_pending(service: Service, now: datetime, limit: int = 200) -> Round:
    """Apply what is pending for the calls of the oldest `limit` events, then settle what is due.

    Each call has a transaction of its own, so that a webhook that must wait for one waits briefly. A power failure may
    undo some of it, which is then applied again: nobody is told of any of it before all of it is on disk.
    """
    done: list[Applied] = []
    count, after = 0, None
    for _ in range(LOOKS):
        with service.database.read() as connection:
            items = service.inbox.oldest(connection, limit, after=after)
        done += _apply_these(service, items, now)
        count = sum(one.count for one in done)
        if count or len(items) < limit:
            break
        after = items[-1].received_at
    settling.settle(service, now)
    return Round(count, count >= limit or any(one.more for one in done))


def _apply_these(service: Service, items: Sequence[InboxItem], now: datetime) -> list[Applied]:
    known = _opened(service, items, now)
    refs = dict.fromkeys(item.call_ref for item in items)
    done = [one for ref in refs if (one := _in_turn(service, ref, known, now)) is not None]
    service.database.flush()
    for one in done:
        if one.call_id is not None:
            _look_after(service, one, one.call_id, now)
    for job in sorted({job for one in done for job in one.jobs}):
        service.wake(job)
    return done


def apply_call(service: Service, connection: Connection, call_ref: bytes, now: datetime) -> str | None:
    """Lock a call, apply what has come in about it, and return its id; None where there is no such call any more.

    It applies at most a slice: a caller about to decide something asks `unread` whether that was all.
    """
    applied = _apply(service, connection, call_ref, {}, now, careful=True)
    audit.append_many(connection, applied.entries, now=now)
    return applied.call_id


def unread(service: Service, connection: Connection, call: Call) -> bool:
    """Whether something of a locked call has come in that is not applied yet: it may be a no."""
    return bool(service.inbox.pending(connection, *calls.refs(connection, call), limit=1))


def register(service: Service, event: Event, now: datetime) -> str:
    """Take in an event of our own making (an agent's button, a push) like any other, and apply it at once.

    Returns the call's id. Raises `CallNotFoundError`; `StorageError` where it could not be kept.
    """
    intake.submit(service, event, now).result()
    ref = inbox.ref(service.keyring, event.platform, event.call_id)
    with service.database.write() as connection:
        call_id = apply_call(service, connection, ref, now)
    if call_id is None:
        raise CallNotFoundError
    for job in ("apply", "capture"):
        service.wake(job)
    return call_id


def resolve(service: Service, connection: Connection, platform: str, platform_call_id: str) -> str | None:
    """The id of the call a platform's id names, blank ones excepted."""
    call = calls.by_ref(connection, inbox.ref(service.keyring, platform, platform_call_id))
    return None if call is None else call.id


def _opened(service: Service, items: Sequence[InboxItem], now: datetime) -> Known:
    """Open bodies before any lock is held; one that does not open is left to `_decoded`, under the call's lock."""
    known = {}
    for item in items:
        with suppress(Exception):
            known[item.id] = decode(service.inbox.open_body(item, now))
    return known


def _in_turn(service: Service, ref: bytes, known: Known, now: datetime) -> Applied | None:
    """Apply one call's events in a transaction of its own; if that fails, again and carefully. Other calls go on."""
    for careful in (False, True):
        try:
            with service.database.write(lasting=False) as connection:
                applied = _apply(service, connection, ref, known, now, careful=careful, wait=False)
                audit.append_many(connection, applied.entries, now=now)
        except DatabaseUnavailableError:
            raise
        except DatabaseBusyError:
            return Applied(more=True)
        except Exception as exc:  # whatever it is: its events stay, and people are told
            if isinstance(exc, RecorderError) and exc.retryable:
                log.warning("call.not_applied", code=exc.code)
                return None
            if careful:
                log.exception("call.not_applied")
        else:
            return applied
    with service.database.write() as connection:
        for item in service.inbox.pending(connection, ref, limit=1):
            tasks.open_task(connection, FAILED, item.id, now)
            service.inbox.tried(connection, item.id)
    return None


def _look_after(service: Service, one: Applied, call_id: str, now: datetime) -> None:
    """Do what cannot be done inside the transaction. If a party it needs is away, the call's next event tries again."""
    try:
        if one.unknown:
            settling.classify(service, call_id, now)
    except DatabaseBusyError:
        pass  # Another worker has the call, so there is more to come of it; at the latest, its capture asks.
    except RecorderError as exc:
        log.warning("call.not_looked_after", call_id=call_id, code=exc.code)


def _apply(
    service: Service,
    connection: Connection,
    ref: bytes,
    known: Known,
    now: datetime,
    *,
    careful: bool,
    wait: bool = True,
) -> Applied:
    """Apply a slice of a call's events. With `careful`, a faulty event fails alone; without, its error is raised.

    `known` events need not be opened again. Raises `DatabaseBusyError` where another worker has a call that this one is
    linked to, or becomes linked to here; without `wait`, also where another has the call itself.
    """
    applied = Applied()
    call = relatives.lock_by_ref(connection, ref, wait=wait)
    # What is pending under any of its ids, read only once the lock is held.
    refs = calls.refs(connection, call) if call else [ref]
    items = service.inbox.pending(connection, *refs, limit=SLICE)
    applied.more = len(items) == SLICE
    if not items:
        applied.call_id = call.id if call else None
        return applied
    events = _decoded(service, connection, items, known, now)
    if call is not None and parting.part(service, connection, call, events, now):
        applied = _apply(service, connection, ref, known, now, careful=careful, wait=wait)
        applied.jobs.add("capture")
        return applied
    case, new = taken(service, connection, call, now), False
    if call is None and events:
        case, new = newcomers.admit(service, connection, ref, events, now)
    if case is None:
        if newcomers.turn_away(service, connection, events, now):
            applied.jobs.add("source")
        if newcomers.pass_on(service, connection, ref, events, now):
            applied.jobs.add("capture")
        done = [received.inbox_id for received in events]
    else:
        done = _bring_up(case, events, applied, new=new, careful=careful)
    service.inbox.done(connection, done)
    for item in items:
        if item.tries and item.id in done:
            tasks.close_task(connection, FAILED, item.id, SYSTEM.id, now)
    applied.count = len(items)
    return applied


def _bring_up(case: Case, events: list[ReceivedEvent], applied: Applied, *, new: bool, careful: bool) -> list[str]:
    """Apply a call's events; returns the inbox rows of those that went through."""
    before, data_before = case.call, dict(case.data)
    done = _applied(case, events) if careful else events
    if not careful:
        for received in events:
            applying.apply(case, received)
    put(case, before, data_before)
    if not new and labels(case.call, case.data) != labels(before, data_before):
        case.looked_at_again |= {"stored"}
    # A new call has no recordings, but those it came out of may have.
    if not new or "stored" in case.looked_at_again or any(received.event.recording_id for received in done):
        announcing.refresh(case)
    applied.call_id, applied.entries, applied.jobs = case.call.id, case.entries, case.jobs
    agreed = any(entry.type == "consent.granted" for entry in case.entries)
    applied.unknown = case.call.segment is None or (agreed and case.data.get("account") is None)
    return [received.inbox_id for received in done]


def _applied(case: Case, events: list[ReceivedEvent]) -> list[ReceivedEvent]:
    """Those of the events that went through."""
    if _attempt(case, events):
        return events
    return [one for one in events if len(events) > 1 and _attempt(case, [one])]


def _attempt(case: Case, events: list[ReceivedEvent]) -> bool:
    """Apply these events, or leave no trace of them: a faulty one among several is then found by trying each alone."""
    before = replace(case, data=dict(case.data), entries=list(case.entries), jobs=set(case.jobs))
    savepoint = case.connection.begin_nested()
    try:
        for received in events:
            applying.apply(case, received)
    except Exception as exc:
        savepoint.rollback()
        if isinstance(exc, OperationalError) or (isinstance(exc, RecorderError) and exc.retryable):
            raise
        vars(case).update(vars(before))
        if len(events) == 1:
            _fail(case.connection, events[0].inbox_id, exc, case.now)
        return False
    savepoint.commit()
    return True


def _decoded(
    service: Service, connection: Connection, items: list[InboxItem], known: Known, now: datetime
) -> list[ReceivedEvent]:
    """The events in the order to apply them: a call's own start first, then as they came in."""
    events = []
    for item in items:
        try:
            event = known.get(item.id) or decode(service.inbox.open_body(item, now))
        except RecorderError as exc:
            if exc.retryable:
                raise
            _fail(connection, item.id, exc, now)
        else:
            events.append(ReceivedEvent(event, item.received_at, item.id))
    return sorted(events, key=lambda one: (one.event.type != "call.started", one.received_at, one.inbox_id))


def _fail(connection: Connection, inbox_id: str, exc: Exception, now: datetime) -> None:
    log.error("event.failed", inbox_id=inbox_id, error=type(exc).__name__)
    Inbox.failed(connection, inbox_id)
    tasks.open_task(connection, FAILED, inbox_id, now)
