"""What becomes of a call once it is over: kept with its recordings, under the key of their last day, or blanked.

Also the one thing about a call that must be asked of others, its class; never inside a transaction.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import Connection

from recorder import personal
from recorder.actors import SYSTEM
from recorder.calls import announcing
from recorder.calls.case import Case, put, take
from recorder.calls.family import Family
from recorder.consent import barred, standing
from recorder.erasure.discarding import discard
from recorder.errors import DirectoryUnavailableError
from recorder.ports import Customer, Service
from recorder.retention import anchor, expires_at
from recorder.segments import segment_of
from storage import audit
from storage.catalogue import blanking, calls, recordings, relatives, tasks
from storage.catalogue.calls import LONGEST_CALL, Call
from storage.catalogue.recordings import Recording
from storage.clock import utc_day
from storage.errors import DatabaseBusyError, KeyDestroyedError, RecorderError
from storage.keys import Key

AGAIN = timedelta(minutes=5)
FINAL = frozenset(["refused", "withdrawn", "unanswered", "expired"])  # bars that nothing late can lift

log = structlog.get_logger(__name__)


def classify(service: Service, call_id: str, now: datetime, *, wait: bool = False) -> str | None:
    """The call's class; asks the directory for what neither event nor line said: private or business, and the account.

    What counts is whose number it was at the time of the call, not some day later. Raises `DirectoryUnavailableError`
    and, without `wait`, `DatabaseBusyError` where another worker has the call: both stay open, to be asked for again.
    """
    with service.database.read() as connection:
        call = calls.get(connection, call_id)
    call = None if call is None else _asked(service, call, now, wait=wait)
    return None if call is None else call.segment


def _asked(service: Service, call: Call, now: datetime, *, wait: bool = False) -> Call | None:
    """The call with what the directory says of it; None where it has gone meanwhile."""
    data = personal.of_call(service, call, now)
    number = personal.customer_number(call.direction, data)
    if number is None or (call.customer_type is not None and data.get("account") is not None):
        return call
    customer = service.directory.by_phone(number)
    if customer is None:
        return call
    with service.database.write() as connection:
        case = take(service, connection, calls.lock(connection, call.id, wait=wait), now)
        if case is None:
            return None
        _introduce(case, customer)
        audit.append_many(connection, case.entries, now=now)
    return case.call


def _introduce(case: Case, customer: Customer) -> None:
    before, data_before = case.call, dict(case.data)
    kind = before.customer_type or customer.customer_type
    case.call = replace(before, customer_type=kind, segment=segment_of(before.direction, kind, before.call_kind))
    if case.data.get("account") is None and customer.account is not None:
        case.data["account"] = customer.account
    put(case, before, data_before)
    announcing.refresh(case)
    if case.call.segment != before.segment:
        case.note("call.classified", segment=case.call.segment)


@dataclass(frozen=True)
class _Prospect:
    """What was found out about a due call before the transaction that settles it. Handles key material."""

    call: Call
    bar: str | None = None  # why nothing of it may be kept
    ends: datetime | None = None  # what is not stored of it by then never will be; None: now
    key: Key | None = field(default=None, repr=False)  # of its recordings' last day; None: nothing is kept
    secret: bytes | None = field(default=None, repr=False)

    @property
    def refused(self) -> bool:
        return self.bar in FINAL


def settle(service: Service, now: datetime, limit: int = 100) -> int:
    """Keep or blank the calls that are due for it; returns how many were looked at.

    What is lost in a power failure is done again: the call is still due.
    """
    with service.database.read() as connection:
        due = calls.due_to_settle(connection, now, limit)
    prospects = [found for call in due if (found := _prospect(service, call, now)) is not None]
    for one in prospects:
        with service.database.write(lasting=False) as connection:
            audit.append_many(connection, _settle(service, connection, one, now), now=now)
    service.database.flush()
    return len(due)


def _prospect(service: Service, call: Call, now: datetime) -> _Prospect | None:
    """None where that cannot be found out now: the call is looked at again later."""
    try:
        return _found_out(service, call, now)
    except KeyDestroyedError:
        return _Prospect(call, "expired")
    except DatabaseBusyError:  # another worker has it: the next round is soon
        return None
    except RecorderError as exc:
        log.warning("call.not_settled", call_id=call.id, code=exc.code)
    with suppress(DatabaseBusyError), service.database.write() as connection:
        calls.lock(connection, call.id, wait=False)
        calls.change(connection, call.id, settle_at=now + AGAIN)
    return None


def _found_out(service: Service, call: Call, now: datetime) -> _Prospect:
    with service.database.read() as connection:
        known = Family(connection, call).facts(service, now)
    bar = barred(known)
    if not standing(known):
        return _Prospect(call, bar)
    call = _classified(service, call, now)
    if call.segment is None:
        return _Prospect(call, bar)
    with service.database.read() as connection:
        ends = _ends(service, connection, call)
        days = [] if ends is None else [utc_day(ends), *_days_stored(connection, call)]
    # Keys may have to be fetched: before the transaction, which then needs to ask for none.
    key = service.keyring.day_key(max(days), now) if days else None
    return _Prospect(call, bar, ends, key, personal.call_secret(service, call, now))


def _settle(service: Service, connection: Connection, found: _Prospect, now: datetime) -> list[audit.Entry]:
    if not relatives.lock(connection, [found.call.id], skip_locked=True):
        return []  # Another worker has it, or a call it is linked to: the next round is soon.
    current = calls.get(connection, found.call.id)
    refs = [] if current is None else calls.refs(connection, current)
    if current is None or current != found.call or service.inbox.pending(connection, *refs, limit=1):
        return []  # Something came in meanwhile: the next round decides on that.
    if found.key is not None and found.secret is not None and found.key.id != current.key_id:
        try:
            service.keyring.require_open(connection, found.key.id)
        except KeyDestroyedError:  # the day is being closed: what was recorded expires with it
            calls.change(connection, current.id, settle_at=now + AGAIN)
            return []
        wrapped = personal.rewrapped(current, found.secret, found.key)
        calls.change(connection, current.id, key_id=wrapped.key_id, call_key=wrapped.call_key)
    return _decide(service, connection, current, found, now)


def _classified(service: Service, call: Call, now: datetime) -> Call:
    try:
        return _asked(service, call, now) or call
    except DirectoryUnavailableError as exc:
        log.warning("call.class_open", call_id=call.id, code=exc.code)
        return call


def _ends(service: Service, connection: Connection, call: Call) -> datetime | None:
    """When the call's recordings expire, by what is known now; None where none may be kept."""
    days = Family(connection, call).kept_days(service)
    begun = anchor(call.ended_at, None, call.started_at or call.opened_at)
    return None if days is None or begun is None else expires_at(begun, days)


def _days_stored(connection: Connection, call: Call) -> list[date]:
    """The days of the keys that the call's recordings are under: later than their expiry where one is held."""
    rows = recordings.of_call(connection, call.id)
    return [date.fromisoformat(one.expiry_day) for one in rows if one.state == "stored" and one.expiry_day]


def _decide(service: Service, connection: Connection, call: Call, found: _Prospect, now: datetime) -> list[audit.Entry]:
    """Decide when to look at the call again; one that nothing needs any more is blanked."""
    kept = found.key is not None
    ended = call.ended_at or call.opened_at + LONGEST_CALL
    deadline = ended + timedelta(seconds=service.settings.consent.deadline_s)
    rows = [one for one in recordings.of_call(connection, call.id) if one.state in relatives.NEEDING_THEIR_CALL]
    if call.state == "open":
        running = now < ended
        calls.change(connection, call.id, state="open" if running else "over", settle_at=ended if running else deadline)
        return []
    if now < deadline and (kept or not found.refused):
        calls.change(connection, call.id, settle_at=deadline)
        return []
    missing = [one for one in rows if kept and one.state == "announced" and one.available_at is None]
    entries = [_missed(connection, one, now) for one in missing]
    failed = [one for one in rows if one.state == "failed"]
    if not kept or found.ends is None or found.ends <= now:
        reason = "expired" if kept else found.bar or "no_consent"
        entries += [_given_up(service, connection, call, one, reason, now) for one in failed]
        rows, failed = [one for one in rows if one not in failed], []
    if any(one.state in {"announced", "capturing"} for one in rows if one not in missing):
        calls.change(connection, call.id, settle_at=now + AGAIN)
        return entries
    if rows:
        calls.change(connection, call.id, settle_at=found.ends if failed or missing else None)
        return entries
    # Its yes may cover recordings of linked calls: they are decided on while it is known whom it speaks for.
    if kept and relatives.waited_for(connection, [call.id]):
        calls.change(connection, call.id, settle_at=now + AGAIN)
        return entries
    blanking.blank_calls(connection, [call.id], now)
    return [*entries, audit.Entry("call.blanked", SYSTEM.id, call.id, {"refused": found.refused})]


def _given_up(
    service: Service, connection: Connection, call: Call, recording: Recording, reason: str, now: datetime
) -> audit.Entry:
    """Discard what could not be captured and still lies at its platform, once its time or the consent is over."""
    data = personal.left_of(service, call, recording, now)
    tasks.close_task(connection, "capture_failed", recording.id, SYSTEM.id, now)
    return discard(service, connection, recording, data, reason, now)


def _missed(connection: Connection, recording: Recording, now: datetime) -> audit.Entry:
    """Give up a recording that was consented to and announced, but never became available."""
    recordings.change(connection, recording.id, when={"state": "announced"}, state="failed", reason="never_available")
    tasks.open_task(connection, "capture_failed", recording.id, now)
    return audit.Entry("recording.failed", SYSTEM.id, recording.id, {"reason": "never_available"})
