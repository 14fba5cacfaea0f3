"""Holds: a recording that must outlive its day, until somebody says it need not. Handles keys.

A hold has no key of its own: the data key and the marks move to the day key of the latest review date, so that even
what nobody looks after becomes unreadable in the end. A missed review alarms and moves that date once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import Connection

from recorder import erasure, personal
from recorder.actors import SYSTEM, Actor
from recorder.erasure.hold_matrix import KINDS
from recorder.errors import (
    ConflictError,
    ErasingError,
    InvalidInputError,
    NotFoundError,
    RecorderError,
    RecordingNotFoundError,
)
from recorder.once import WITHOUT_KEY, Once
from recorder.ports import Service
from storage import audit
from storage.audit import Entry
from storage.catalogue import calls, forecast, recordings, rewrapping, tasks
from storage.catalogue import holds as catalogue
from storage.catalogue.calls import Call
from storage.catalogue.holds import Hold
from storage.catalogue.recordings import Recording
from storage.catalogue.rewrapping import Move
from storage.clock import new_id, utc_day

LONGEST = timedelta(days=90)
EXTENSION = timedelta(days=30)  # shorter than a hold may be: one that is forgotten alarms every month
OVERDUE = "hold_review_missed"
# A civil registration number (CPR), an e-mail address or a telephone number: reasons are kept in clear.
A_PERSON = re.compile(
    r"(?<!\d)(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])\d\d[- ]?\d{4}(?!\d)"
    r"|@|(\+|(?<!\d)00[1-9])[\d ]{8}|(?<!\d)\d\d( \d\d){3}(?!\d)",
    re.ASCII,
)
TRIES = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Seen:
    """What a re-wrap was prepared from; it is put in place only where all of this is still so."""

    recording: Recording
    call: Call | None
    standing: list[Hold]
    latest_of_others: str | None


Act = Callable[[Connection, Recording], list[Entry]]


def place(
    service: Service,
    recording_id: str,
    kind: str,
    reason: str | None,
    actor: Actor,
    now: datetime,
    review_at: datetime | None = None,
    request_id: str | None = None,
    once: Once = WITHOUT_KEY,
) -> Hold:
    """Hold a stored recording until its review, at most 90 days ahead, or return the hold its request has on it.

    Raises `ErasingError` where the recording is due or being erased, `RecordingNotFoundError` where it is not kept,
    `InvalidInputError` for an unknown kind, a date out of range, or a reason that names a person.
    """
    if reason is not None and A_PERSON.search(reason):
        raise InvalidInputError("reason must be a code or case reference, and never names a person")
    hold = Hold(new_id("hld"), recording_id, kind, request_id, reason, actor.id, now, _review(kind, review_at, now))
    placed = hold

    def act(connection: Connection, recording: Recording) -> list[Entry]:
        nonlocal placed
        known = [one for one in _standing(connection, recording_id) if request_id and one.request_id == request_id]
        if known:
            placed = known[0]
            return []
        catalogue.add(connection, hold)
        once.done(connection, hold.id)
        _count(connection, recording, +1)
        return [Entry("hold.placed", actor.id, recording_id, {"hold_id": hold.id, "kind": kind})]

    _moving(service, recording_id, now, lambda standing: [*standing, hold], act)
    service.wake("shelter")
    return placed


def release(service: Service, hold_id: str, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> None:
    """End a hold, if it has not ended already. A recording that only this one kept starts to be erased at once.

    Raises `NotFoundError` where there is no such hold.
    """
    with service.database.read() as connection:
        hold = catalogue.get(connection, hold_id)
    if hold is None:
        raise NotFoundError("there is no such hold, or its recording is gone")
    if hold.released_at is not None:
        return

    def act(connection: Connection, recording: Recording) -> list[Entry]:
        if not catalogue.release(connection, hold_id, actor.id, now):
            return []
        once.done(connection, hold_id)
        _count(connection, recording, -1)
        tasks.close_task(connection, OVERDUE, hold_id, actor.id, now)
        released = Entry("hold.released", actor.id, recording.id, {"hold_id": hold_id, "kind": hold.kind})
        return [released, *erasure.claim_due(connection, [recording.id], SYSTEM, now)]

    _moving(service, hold.recording_id, now, lambda standing: [one for one in standing if one.id != hold_id], act)
    service.wake("erase")


def review_holds(service: Service, now: datetime, limit: int = 1000) -> int:
    """Alarm about every hold whose review was missed, and extend it, so that nothing held is lost to a forgotten date.

    Returns how many were extended; one that could not be is tried again at the next call.
    """
    with service.database.read() as connection:
        missed = catalogue.due_for_review(connection, now, limit)
    done = 0
    for hold in missed:
        try:
            _extend(service, hold, now)
            done += 1
        except RecorderError as error:
            log.warning("hold.not_extended", hold_id=hold.id, code=error.code)
    return done


def _extend(service: Service, hold: Hold, now: datetime) -> None:
    later = replace(hold, review_at=now + EXTENSION)

    def act(connection: Connection, recording: Recording) -> list[Entry]:
        if not catalogue.postpone(connection, hold, later.review_at):
            return []
        tasks.open_task(connection, OVERDUE, hold.id, now)
        return [Entry("hold.extended", SYSTEM.id, recording.id, {"hold_id": hold.id, "kind": hold.kind})]

    others = lambda standing: [later if one.id == hold.id else one for one in standing]  # noqa: E731 -- one expression
    _moving(service, hold.recording_id, now, others, act)


def _moving(
    service: Service, recording_id: str, now: datetime, after: Callable[[list[Hold]], list[Hold]], act: Act
) -> None:
    """Do `act` in one transaction with the re-wrap that the holds standing `after` it ask for.

    Keys are fetched and wrapped outside the transaction; where anything changed meanwhile, all is done again.
    """
    for _ in range(TRIES):
        with service.database.read() as connection:
            seen = _look(connection, recording_id, now)
        move = _prepare(service, seen, after(seen.standing), now)
        try:
            with service.database.write() as connection:
                call = calls.lock(connection, seen.recording.call_id)
                recording = recordings.lock(connection, recording_id)
                if recording != seen.recording or _standing(connection, recording_id) != seen.standing:
                    continue
                if move is not None:
                    _require_open(service, connection, move)
                    rewrapping.apply(connection, recording, call, move)
                entries = act(connection, recording)
                if entries:
                    audit.append_many(connection, entries, now=now)
                return
        except ConflictError:
            continue
    raise ConflictError("the recording kept changing; try again")


def _require_open(service: Service, connection: Connection, move: Move) -> None:
    """Refuse new wraps under a key that is closing: they would go with the key, unseen by whoever destroys it."""
    for key_id in sorted({move.key_id, move.call_key_id or move.key_id}):
        service.keyring.require_open(connection, key_id)


def _look(connection: Connection, recording_id: str, now: datetime) -> _Seen:
    recording = _held(connection, recording_id, now)
    return _Seen(
        recording,
        calls.get(connection, recording.call_id),
        _standing(connection, recording_id),
        rewrapping.latest_day_of_others(connection, recording),
    )


def _prepare(service: Service, seen: _Seen, standing: Sequence[Hold], now: datetime) -> Move | None:
    """The re-wrap that these holds ask for; None where the key is the right one already, or all goes anyway."""
    recording = seen.recording
    expires_at = recording.expires_at or now
    if not standing and expires_at <= now:
        return None
    day = max([utc_day(expires_at), *(utc_day(hold.review_at) for hold in standing)])
    if f"{day:%Y%m%d}" == recording.expiry_day or recording.key_id is None or recording.dek is None:
        return None
    key = service.keyring.day_key(day, now)
    dek = service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now)
    facts = personal.unseal(dek, "recordings", recording.id, recording.sealed)
    call_key_id, call_key = _call_key(service, seen, day, now)
    return Move(
        key_id=key.id,
        day=day,
        dek=service.vault.wrap_dek(dek, recording.id, key),
        marks=personal.marks(key, facts),
        call_key_id=call_key_id,
        call_key=call_key,
    )


def _call_key(service: Service, seen: _Seen, day: date, now: datetime) -> tuple[str | None, bytes | None]:
    """The call's key under that of its longest kept recording: key id and wrap, None where nothing is to change."""
    call = seen.call
    if call is None or call.key_id is None or call.call_key is None:
        return None, None
    latest = max(day, date.fromisoformat(seen.latest_of_others)) if seen.latest_of_others else day
    target = service.keyring.day_key(latest, now)
    if target.id == call.key_id:
        return None, None
    secret = personal.call_secret(service, call, now)
    return target.id, None if secret is None else personal.rewrapped(call, secret, target).call_key


def _held(connection: Connection, recording_id: str, now: datetime) -> Recording:
    recording = recordings.get(connection, recording_id)
    if recording is None or recording.state not in {"stored", "erasing"}:
        raise RecordingNotFoundError
    due = not recording.holds and recording.expires_at is not None and recording.expires_at <= now
    if recording.state == "erasing" or due:
        raise ErasingError
    return recording


def _count(connection: Connection, recording: Recording, change: int) -> None:
    """Count one hold more or less. The forecast counts a recording only while nothing holds it."""
    holds = recording.holds + change
    recordings.change(connection, recording.id, when={"state": "stored"}, holds=holds)
    if recording.expires_at is not None and 0 in {holds, recording.holds}:
        forecast.adjust(connection, f"{recording.expires_at:%Y%m%d}", -change)


def _standing(connection: Connection, recording_id: str) -> list[Hold]:
    return catalogue.standing(connection, [recording_id]).get(recording_id, [])


def _review(kind: str, review_at: datetime | None, now: datetime) -> datetime:
    if kind not in KINDS:
        raise InvalidInputError("kind is not one of " + ", ".join(KINDS))
    if review_at is not None and not now < review_at <= now + LONGEST:
        raise InvalidInputError("review_at must lie within the next 90 days")
    return review_at or now + LONGEST
