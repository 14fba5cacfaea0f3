"""Erasure: from an order to a certificate. Idempotent, and resumable at every step.

The first transaction takes the data key, the marks, the sessions and the call, so that nothing opens from then on,
whether or not a store can be reached; `disposal` deletes and verifies. What a hold does is `hold_matrix`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from sqlalchemy import Connection

from recorder import personal, sources
from recorder.actors import SYSTEM, Actor
from recorder.erasure import certificates, disposal
from recorder.erasure.certificates import EXPIRED, Certificate
from recorder.erasure.discarding import discard
from recorder.erasure.hold_matrix import cause_of, verdict
from recorder.errors import ChoiceNeededError, ErasingError, HeldError, RecordingNotFoundError
from recorder.faultpoints import reached
from recorder.ports import Service
from storage import audit
from storage.audit import Entry
from storage.catalogue import calls, erasing, evidence, holds, recordings, relatives, tombstones
from storage.catalogue.erasing import Order
from storage.catalogue.evidence import Consent
from storage.catalogue.recordings import Recording
from storage.clock import new_id

Choice = Literal["copy_first", "delete_now"]
WITHDRAWN = "withdrawn"
PAGE, ORDERED = "page", "ordered"  # how a withdrawal came that was not said in the call
AT_ONCE = 1000  # recordings whose objects go together: a folder, or the list of a bucket, is read anew each time
TURN = timedelta(seconds=60)  # others leave an erasure alone for so long
REASONS = ("customer_request", WITHDRAWN, "recorded_by_mistake", "no_legal_basis", "ordered", "other")  # an officer's


@dataclass(frozen=True)
class Withdrawal:
    """What became of a call's recordings: erased, being erased, or waiting for a hold to end (ids)."""

    certificates: list[Certificate]
    erasing: list[str]
    waiting: list[str]


def erase(service: Service, recording_id: str, *, reason: str, actor: Actor, now: datetime) -> Certificate | None:
    """Erase one recording and return its certificate; None while its objects are not verified gone.

    May be called again at any time: what is begun is finished, what is done is answered by its certificate. Where a
    hold makes a withdrawal wait, that is noted and None is returned; a recording not stored yet never will be, and
    leaves no certificate. Raises `HeldError` where a hold forbids an order, `RecordingNotFoundError` where there is
    nothing to erase.
    """
    with service.database.write() as connection:
        stone = tombstones.find(connection, recording_id)
        if stone is not None:
            return certificates.certificate(stone)
        entries = _begin(service, connection, _locked(connection, recording_id), reason, actor, now)
        if entries:
            audit.append_many(connection, entries, now=now)
    reached("erase.claimed")
    for job in ("capture", "leftovers", "source"):
        service.wake(job)
    stone = disposal.finish(service, [recording_id], now).get(recording_id)
    return None if stone is None else certificates.certificate(stone)


def withdraw(
    service: Service, recording_id: str, actor: Actor, now: datetime, choice: Choice | None = None
) -> Withdrawal:
    """Take back the consent to a call: every recording of it goes, whole.

    Raises `ChoiceNeededError`, changing nothing, where an open access request holds one of them and the person has
    not yet said whether a copy comes first. May be called again: what was taken back is not told twice.
    """
    going, waiting = begin_withdrawal(service, recording_id, actor, now, choice)
    done = disposal.finish(service, list(going), now)
    return Withdrawal(
        [certificates.certificate(stone) for stone in done.values()], [one for one in going if one not in done], waiting
    )


def begin_withdrawal(
    service: Service, recording_id: str, actor: Actor, now: datetime, choice: Choice | None
) -> tuple[dict[str, str], list[str]]:
    """The half of a withdrawal that waits for no store; `finish_erasures` does the other.

    Returns the ids of what goes, each with the number its certificate will have, and the ids of what waits.
    """
    with service.database.write() as connection:
        call_id = _locked(connection, recording_id).call_id
        stored = [one for one in recordings.of_call(connection, call_id) if one.state in {"stored", "failed"}]
        said = {one.id: _verdict(connection, one.id, "withdrawal") for one in stored}
        if choice is None and "ask" in said.values():
            raise ChoiceNeededError
        going = [one for one, word in said.items() if word == "go" or (word == "ask" and choice == "delete_now")]
        waiting = [one for one in said if one not in going]
        new = _take_back(connection, call_id, actor, now)
        _leave_none_at_the_platform(service, connection, stored, WITHDRAWN, now)
        order = Order(WITHDRAWN, actor.role, now)
        for one in waiting:
            erasing.postpone(connection, one, order, now)
        body = {"erasing": sorted(going), "waiting": sorted(waiting)}
        entries = [Entry("consent.withdrawn", actor.id, recording_id, body)] if new else []
        entries += _claim(connection, going, order, actor, now)
        numbers = {one: _numbered(service, connection, one) for one in going}
        audit.append_many(connection, entries, now=now)
    for job in ("capture", "leftovers", "source"):
        service.wake(job)
    return numbers, waiting


def finish_erasures(service: Service, now: datetime) -> int:
    """Go on with a batch of the erasures that were begun; returns how many were verified."""
    with service.database.write(lasting=False) as connection:
        ids = erasing.take_unfinished(connection, now, now + TURN, AT_ONCE)
    return len(disposal.finish(service, ids, now)) if ids else 0


def certificate(service: Service, some_id: str) -> dict[str, object]:
    """The certificate, in the form that `/openapi.json` shows, by the id of its recording or its own.

    Raises `ErasingError` while the erasure is not verified, `RecordingNotFoundError` where nothing was erased.
    """
    with service.database.read() as connection:
        stone = tombstones.find(connection, some_id)
        if stone is not None:
            return certificates.certificate(stone).as_json()
        if erasing.rows(connection, [some_id]):
            raise ErasingError
    raise RecordingNotFoundError


def preview(service: Service, recording_id: str) -> dict[str, object]:
    """What an officer's order would do, for the person about to give it: counts, codes and ids only.

    `verdict` is `go`, `warn` (a person has asked for a copy) or `refuse`; `platform_copy` is the state of its
    deletion at the platform, None where none was asked for.
    """
    with service.database.read() as connection:
        recording = recordings.get(connection, recording_id)
        if recording is None:
            raise RecordingNotFoundError
        standing = holds.standing(connection, [recording_id]).get(recording_id, [])
        attempts = erasing.renditions(connection, recording_id)
        last_day = erasing.last_key_days(connection, [recording_id]).get(recording_id)
        siblings = [one.id for one in recordings.of_call(connection, recording.call_id) if one.id != recording_id]
        platform_copy = erasing.platform_copy(connection, recording_id)
    return {
        "recording_id": recording_id,
        "state": recording.state,
        "segment": recording.segment,
        "objects": len(attempts),
        "renditions": sorted({rendition for rendition, state in attempts if state == "kept"}),
        "holds": [{"id": hold.id, "kind": hold.kind, "review_at": hold.review_at} for hold in standing],
        "verdict": verdict({hold.kind for hold in standing}, "order"),
        "siblings": siblings,
        "platform_copy": platform_copy,
        "unreadable_in_backups_from": None if last_day is None else certificates.day_after(last_day).isoformat(),
    }


def claim_due(connection: Connection, ids: Sequence[str], actor: Actor, now: datetime) -> list[Entry]:
    """Begin the erasure of recordings past their moment; those held, or claimed by another, are left out.

    The caller appends the entries returned, one per recording, to the audit log last in its transaction.
    """
    return _claim(connection, ids, Order(EXPIRED, SYSTEM.role), actor, now, expiring=True)


def again(
    service: Service,
    connection: Connection,
    recording_id: str,
    order: Order,
    now: datetime,
) -> list[Entry]:
    """Begin the erasure again of a recording that was erased before and is back, whatever holds came back with it.

    The caller appends the entries returned to the audit log, last in its transaction.
    """
    recording = _locked(connection, recording_id)
    if recording.state in {"announced", "capturing"}:
        return [_discarded(service, connection, recording, order.reason, now)]
    return _claim(connection, [recording_id], order, SYSTEM, now)


def _discarded(service: Service, connection: Connection, recording: Recording, reason: str, now: datetime) -> Entry:
    call = calls.get(connection, recording.call_id)
    data = personal.left_of(service, call, recording, now) if call else {}
    return discard(service, connection, recording, data, reason, now)


def _begin(
    service: Service, connection: Connection, recording: Recording, reason: str, actor: Actor, now: datetime
) -> list[Entry]:
    if recording.state == "erasing":
        return []
    if recording.state in {"announced", "capturing"}:
        return [replace(_discarded(service, connection, recording, reason, now), actor=actor.id)]
    order = Order(reason, actor.role, now)
    cause = cause_of(reason, actor.role)
    if cause == "expiry":
        return claim_due(connection, [recording.id], actor, now)
    said = _verdict(connection, recording.id, cause)
    if said == "refuse":
        raise HeldError
    if said in {"ask", "wait"}:
        if not erasing.postpone(connection, recording.id, order, now):
            return []
        return [Entry("recording.erasure_postponed", actor.id, recording.id, {"reason": reason})]
    _leave_none_at_the_platform(service, connection, [recording], reason, now)
    entries = _claim(connection, [recording.id], order, actor, now)
    _numbered(service, connection, recording.id)
    return entries


def _numbered(service: Service, connection: Connection, recording_id: str) -> str:
    """Fix the number of a certificate still to come, so that it can be promised already."""
    number = certificates.number(service.keyring.service_key(certificates.NUMBERS), recording_id)
    erasing.name_certificate(connection, recording_id, number)
    return number


def _leave_none_at_the_platform(
    service: Service, connection: Connection, going: Sequence[Recording], reason: str, now: datetime
) -> None:
    """Note the deletion there of what could not be captured; for what was stored, it was noted at capture."""
    for recording in going:
        call = calls.get(connection, recording.call_id) if recording.state == "failed" else None
        if call is not None:
            data = personal.left_of(service, call, recording, now)
            sources.note(service, connection, recording, data, reason, now)


def _claim(
    connection: Connection, ids: Sequence[str], order: Order, actor: Actor, now: datetime, *, expiring: bool = False
) -> list[Entry]:
    claimed = erasing.claim(connection, ids, order, now, expiring=expiring)
    if not claimed:
        return []
    released = holds.release_all(connection, claimed, actor.id, now)
    ended = [
        Entry("hold.released", actor.id, one.recording_id, {"hold_id": one.id, "kind": one.kind}) for one in released
    ]
    return [*ended, *(Entry("recording.erasing", actor.id, one, {"reason": order.reason}) for one in claimed)]


def _verdict(connection: Connection, recording_id: str, cause: Literal["withdrawal", "order"]) -> str:
    standing = holds.standing(connection, [recording_id]).get(recording_id, [])
    return verdict({hold.kind for hold in standing}, cause)


def _locked(connection: Connection, recording_id: str) -> Recording:
    found = recordings.get(connection, recording_id)
    if found is not None:
        relatives.lock(connection, [found.call_id])
        found = recordings.lock(connection, recording_id)
    if found is None or found.state == "discarded":
        raise RecordingNotFoundError
    return found


def _take_back(connection: Connection, call_id: str, actor: Actor, now: datetime) -> bool:
    """Add the withdrawal to the call's evidence: whatever else there is of the call is decided by it.

    False, adding nothing, where it was taken back before and nothing was said since, or all of the call has gone.
    """
    call = calls.get(connection, call_id)
    if call is None or call.state == "blank":
        return False
    family = calls.family(connection, call_id)
    latest = takewhile(lambda one: one.method in {PAGE, ORDERED}, reversed(evidence.consents_of(connection, family)))
    if any(one.call_id == call_id for one in latest):
        return False
    method = PAGE if actor.role == "customer" else ORDERED
    evidence.add_consent(
        connection,
        Consent(new_id("cns"), call_id, "withdrawn", received_at=now, method=method, at=now, clock="service"),
    )
    recordings.look_again(connection, family, now)
    return True
