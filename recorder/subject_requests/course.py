"""What follows from a request's state: holds placed and let go, an approval carried out, an end reached.

Every step may be done again, so that what a crash leaves half done is finished by the next look.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from recorder import access_links, deadlines, erasure, holds
from recorder.actors import SYSTEM, Actor
from recorder.erasure import Choice
from recorder.errors import ErasingError, NotFoundError, RecordingNotFoundError, RequestNotFoundError
from recorder.ports import Service
from recorder.subject_requests import contacts, matching
from storage import audit
from storage.catalogue import holds as hold_rows
from storage.catalogue import links, outbox, recordings, requests, tasks
from storage.catalogue.requests import Match, Request
from storage.clock import utc_day

DISCLOSING = ("access", "portability")
DELETING = ("withdrawal", "erasure")
KEY_MARGIN = timedelta(days=14)
UNREACHED = ("link_locked", "contact_changed", "contact_missing", "delivery_failed")
TASKS = ("request_due", *UNREACHED, "identity_unanswered")
OUTCOMES = ("waits_for_hold", "answered", "deleted")  # of several recordings, what is told is the first of these


def advance(service: Service, request: Request, now: datetime) -> bool:
    """Do what is due for an open request; says whether that closed it."""
    if request.state == "received":
        _match_again(service, request, now)
        settle_matches(service, request, SYSTEM, now)
        _keep_readable(service, request, now)
        return False
    carry_out(service, request.id, SYSTEM, now)
    if request.kind not in DISCLOSING:
        return True
    outcome = _run_out(service, request, now)
    if outcome is not None:
        return _close(service, request.id, outcome, SYSTEM, now)
    if close_if_nothing_is_left(service, request.id, SYSTEM, now):
        return True
    _keep_readable(service, request, now)
    return False


def _run_out(service: Service, request: Request, now: datetime) -> str | None:
    """The outcome once all links have run out; None while one has not, or people still have to see that one arrives."""
    with service.database.read() as connection:
        ways_in = links.of_request(connection, request.id)
        unreached = tasks.any_open(connection, UNREACHED, request.id)
    if not ways_in or any(link.expires_at > now for link in ways_in):
        return None
    if any(link.openings for link in ways_in):
        return "delivered"
    return None if unreached else "lapsed"


def _match_again(service: Service, request: Request, now: datetime) -> None:
    """Match what was still to be captured when they asked. Calls begun after the day they asked are no matches."""
    asked, known = contacts.asked(service, request, now), {one.recording_id for one in _matches(service, request.id)}
    found, _ = matching.find(service, asked, request.id, now, until=deadlines.day_ends(request.received_at))
    new = [one for one in found if one.recording_id not in known]
    if not new:
        return
    with service.database.write() as connection:
        latest = requests.lock(connection, request.id)
        if latest is None or latest.state != "received":
            return
        requests.match(connection, new)
        body = {"matches": [one.recording_id for one in new]}
        audit.append(connection, type="request.matched", actor=SYSTEM.id, subject=request.id, body=body, now=now)


def carry_out(service: Service, request_id: str, actor: Actor, now: datetime) -> None:
    """What an approval asks for beyond the link; may be called again."""
    request = found(service, request_id)
    matched = _matches(service, request_id)
    if request.kind in DISCLOSING:
        _release(service, request_id, {one.recording_id for one in matched if not one.approved}, actor, now)
        return
    became = {_carried_out(service, request, one.recording_id, actor, now) for one in matched if one.approved}
    _close(service, request_id, min(became, key=OUTCOMES.index), actor, now, letter="granted")


def _carried_out(service: Service, request: Request, recording_id: str, actor: Actor, now: datetime) -> str:
    """Do what was granted of one recording; says what became of it."""
    try:
        if request.kind in DELETING:
            choice = _choice(service, recording_id)
            waiting = erasure.withdraw(service, recording_id, actor, now, choice).waiting
            return "waits_for_hold" if waiting else "deleted"
        if request.kind == "restriction":
            holds.place(service, recording_id, "restriction", None, actor, now, request_id=request.id)
    except (RecordingNotFoundError, ErasingError):
        return "deleted"
    return "answered"


def _choice(service: Service, recording_id: str) -> Choice:
    """`copy_first` while a request for a copy of the call has no answer yet."""
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
        of_call = [one.id for one in recordings.of_call(connection, row.call_id)] if row else []
        standing = [one for found in hold_rows.standing(connection, of_call).values() for one in found]
        asking = {one.request_id for one in standing if one.kind == "access" and one.request_id}
        unanswered = [one for one in map(partial(requests.get, connection), asking) if one and one.state == "received"]
    return "copy_first" if unanswered else "delete_now"


def close_if_nothing_is_left(service: Service, request_id: str, actor: Actor, now: datetime) -> bool:
    """Close an answered request whose recordings are all gone. If no link was sent in time, the person is told so."""
    with service.database.read() as connection:
        granted = [one.recording_id for one in requests.matched(connection, request_id) if one.approved]
        rows = [recordings.get(connection, one) for one in granted]
        unsent = outbox.none_sent(connection, [link.id for link in links.of_request(connection, request_id)])
    if any(row is not None and row.state == "stored" for row in rows):
        return False
    return _close(service, request_id, "deleted", actor, now, letter="granted" if unsent else None)


def end(connection: Connection, request_id: str, state: str, outcome: str, actor: Actor, now: datetime) -> bool:
    """End a request and its links. Whom it was about is forgotten once its holds are gone."""
    values = {"state": state, "outcome": outcome, "closed_at": now}
    if not requests.change(connection, request_id, when=["received", "answered"], **values):
        return False
    access_links.end_all(connection, request_id, "void")
    outbox.void(connection, request_id)
    for kind in TASKS:
        tasks.close_task(connection, kind, request_id, actor.id, now)
    body = {"outcome": outcome}
    audit.append(connection, type=f"request.{state}", actor=actor.id, subject=request_id, body=body, now=now)
    return True


def _close(
    service: Service, request_id: str, outcome: str, actor: Actor, now: datetime, *, letter: str | None = None
) -> bool:
    with service.database.write() as connection:
        closed = end(connection, request_id, "closed", outcome, actor, now)
        if closed and letter:
            outbox.add(connection, "mail", letter, request_id, now, body={"reason": outcome})
    if closed:
        service.wake("deliver")
        let_go(service, request_id, actor, now)
    return closed


def let_go(service: Service, request_id: str, actor: Actor, now: datetime) -> None:
    """Release what an ended request held, then forget whom it was about, once the last letter is out."""
    request = found(service, request_id)
    if request.kind in DISCLOSING:
        _release(service, request_id, None, actor, now)
    with service.database.write() as connection:
        if outbox.waits(connection, request_id):
            return
        gone: dict[str, object] = dict.fromkeys(("key_id", "request_key", "sealed"))
        requests.change(connection, request_id, when=["refused", "closed"], **gone)


def settle_matches(service: Service, request: Request, actor: Actor, now: datetime) -> None:
    """Hold what a request for access matched; what was gone before it could be held is no match any more."""
    for recording_id in hold_matches(service, request, actor, now):
        with service.database.write() as connection:
            requests.unmatch(connection, request.id, recording_id)


def hold_matches(service: Service, request: Request, actor: Actor, now: datetime) -> list[str]:
    """Hold what an undecided request for access matched: only what is held is approved. Returns what is gone."""
    if request.kind not in DISCLOSING or request.state != "received":
        return []
    with service.database.read() as connection:
        held = {one.recording_id for one in hold_rows.of_request(connection, request.id)}
    gone = []
    for one in _matches(service, request.id):
        if one.recording_id in held:
            continue
        try:
            holds.place(service, one.recording_id, "access", None, actor, now, request_id=request.id)
        except (RecordingNotFoundError, ErasingError):
            gone.append(one.recording_id)
    return gone


def _release(
    service: Service, request_id: str, recording_ids: Collection[str] | None, actor: Actor, now: datetime
) -> None:
    with service.database.read() as connection:
        standing = hold_rows.of_request(connection, request_id)
    for hold in standing:
        if recording_ids is None or hold.recording_id in recording_ids:
            with suppress(NotFoundError, ErasingError):  # erased since: its holds ended with it
                holds.release(service, hold.id, actor, now)


def _keep_readable(service: Service, request: Request, now: datetime) -> None:
    """An open request outlives its key's day: seal it anew in good time."""
    if request.key_id is None:
        return
    key = service.keyring.key(request.key_id, now)
    if key.day > utc_day(now + KEY_MARGIN):
        return
    fresh = resealed(service, request, now)
    with service.database.write() as connection:
        requests.change(connection, request.id, when=["received", "answered"], **fresh)


def resealed(service: Service, request: Request, now: datetime) -> dict[str, Any]:
    """The columns of whom it is about, under the key of 90 days from now."""
    return contacts.sealed(service, request.id, contacts.asked(service, request, now), now)


def found(service: Service, request_id: str) -> Request:
    with service.database.read() as connection:
        request = requests.get(connection, request_id)
    if request is None:
        raise RequestNotFoundError
    return request


def _matches(service: Service, request_id: str) -> list[Match]:
    with service.database.read() as connection:
        return requests.matched(connection, request_id)
