"""Requests of the people recorded: what they ask for, by when it is answered, and what is done when it is granted.

While a request for access is open, exactly its matching recordings are held: an answer is never overtaken by an
expiry. What a crash leaves half done, `due` finishes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from recorder import access_links, deadlines, subscriptions
from recorder.actors import SYSTEM, Actor
from recorder.errors import ConflictError, InvalidInputError, RecorderError, RequestNotFoundError
from recorder.once import WITHOUT_KEY, Once
from recorder.ports import Service
from recorder.subject_requests import contacts, course, identity_check, matching
from recorder.subject_requests.course import DELETING, DISCLOSING, TASKS
from storage import audit
from storage.catalogue import codes, outbox, requests, tasks
from storage.catalogue.requests import Request
from storage.clock import new_id

KINDS = (*DISCLOSING, *DELETING, "restriction", "rectification", "objection")
IDENTITY_METHODS = ("callback", "self_service", "mitid", "in_person", "other")
REFUSALS = ("identity_not_confirmed", "not_theirs", "nothing_found", "unfounded", "rights_of_others", "other")
ANSWERED: Final = "request.answered"
EXTENSIONS = ("complex", "many")  # art. 12(3): the complexity of a request, or the number of them
REMIND = timedelta(days=7)
RECEIPT_AFTER = timedelta(hours=1)  # what is answered within the hour needs no letter that says it came in
LONGEST_EXPLANATION = 2000
MOST_APPROVED = 20_000  # recordings: what is not among them is let go
FORGET = timedelta(days=14)  # messages and codes, counted from when they were asked for
AHEAD = timedelta(minutes=5)  # clocks differ; what was received further ahead than this is a typing error

log = structlog.get_logger(__name__)


def open_request(
    service: Service,
    kind: str,
    *,
    phone: str | None = None,
    account: str | None = None,
    call: str | None = None,
    received_at: datetime | None = None,
    actor: Actor,
    now: datetime,
    once: Once = WITHOUT_KEY,
) -> Request:
    """Open a request about one number, account or call: find what it matches, hold it, and set the deadline.

    A match whose account was another at the time of the call comes unticked. Raises `InvalidInputError`.
    """
    if kind not in KINDS:
        raise InvalidInputError("kind is not one of " + ", ".join(KINDS))
    received_at = received_at or now
    if received_at > now + AHEAD:
        raise InvalidInputError("received_at lies in the future")
    request_id = new_id("req")
    asked = matching.about(phone=phone, account=account, call=call)
    until = deadlines.day_ends(received_at)
    found, asked = matching.find(service, asked, request_id, now, to_be_stored=kind in DELETING, until=until)
    columns = contacts.sealed(service, request_id, asked, now)
    request = Request(request_id, kind, received_at, deadlines.due_at(received_at), **columns)
    with service.database.write() as connection:
        service.keyring.require_open(connection, columns["key_id"])
        requests.insert(connection, request, found)
        outbox.add(connection, "mail", "receipt", request_id, now, not_before=now + RECEIPT_AFTER)
        once.done(connection, request_id)
        body = {"kind": kind, "matches": [one.recording_id for one in found]}
        audit.append(connection, type="request.opened", actor=actor.id, subject=request_id, body=body, now=now)
    course.settle_matches(service, request, actor, now)
    return request


def choose(service: Service, request_id: str, shown: Collection[str], chosen: Collection[str]) -> None:
    """Note which of the matches that somebody was shown are to be approved. Others keep what was noted of them.

    Raises `ConflictError` where it was decided already.
    """
    with service.database.write() as connection:
        _locked(connection, request_id, "received", WITHOUT_KEY)
        requests.tick(connection, request_id, shown, chosen)


def approve(
    service: Service,
    request_id: str,
    recording_ids: Collection[str],
    identity_method: str,
    actor: Actor,
    now: datetime,
    once: Once = WITHOUT_KEY,
) -> None:
    """Grant a request for these of its matches, saying how we know who is asking.

    Access sends the link to the address on file; a withdrawal or erasure deletes; a restriction holds. Raises
    `InvalidInputError` for recordings it did not match, `ConflictError` where it was decided already.
    """
    if identity_method not in IDENTITY_METHODS:
        raise InvalidInputError("identity.method is not one of " + ", ".join(IDENTITY_METHODS))
    chosen = sorted(set(recording_ids))
    asked = course.found(service, request_id)
    course.hold_matches(service, asked, actor, now)  # whoever opened it may have died before that
    fresh = course.resealed(service, asked, now)
    with service.database.write() as connection:
        request = _locked(connection, request_id, "received", once)
        states = {one.match.recording_id: one.state for one in requests.listed(connection, request_id)}
        if not states.keys() >= set(chosen) or not chosen:
            raise InvalidInputError("recordings must be some of the request's matches")
        if request.kind in DISCLOSING and "stored" not in {states[one] for one in chosen}:
            raise ConflictError("nothing of these recordings is left to be given")
        requests.approve(connection, request_id, chosen)
        values = {
            "state": "answered",
            "answered_at": now,
            "identity_method": identity_method,
            "identity_by": actor.id,
            "identity_at": now,
        }
        requests.change(connection, request_id, when=["received"], **values, **fresh)
        outbox.void(connection, request_id)
        for task in ("request_due", identity_check.TASK):
            tasks.close_task(connection, task, request_id, actor.id, now)
        if request.kind in DISCLOSING:
            access_links.queue(connection, request_id, now)
        subscriptions.tell(service, connection, ANSWERED, [{"request_id": request_id}], now)
        body = {"recordings": chosen, "identity_method": identity_method}
        audit.append(connection, type="request.approved", actor=actor.id, subject=request_id, body=body, now=now)
    service.wake("deliver")
    course.carry_out(service, request_id, actor, now)


def refuse(
    service: Service,
    request_id: str,
    actor: Actor,
    now: datetime,
    reason: str = "other",
    explanation: str = "",
    once: Once = WITHOUT_KEY,
) -> None:
    """Refuse a request and tell the person why, and where to complain. What was held for it is let go.

    `explanation` is said in place of the reason's own words; for "other" without one, a task asks for the reason.
    """
    if reason not in REFUSALS:
        raise InvalidInputError("reason is not one of " + ", ".join(REFUSALS))
    if len(explanation) > LONGEST_EXPLANATION:
        raise InvalidInputError(f"the explanation is longer than {LONGEST_EXPLANATION} characters")
    sealed = _explained(service, request_id, explanation.strip(), now)
    with service.database.write() as connection:
        _locked(connection, request_id, "received", once)
        subscriptions.tell(service, connection, ANSWERED, [{"request_id": request_id}], now)
        course.end(connection, request_id, "refused", reason, actor, now)
        if sealed:
            requests.change(connection, request_id, when=["refused"], **sealed)
        elif reason == "other":
            tasks.open_task(connection, "reason_owed", request_id, now)
        outbox.add(connection, "mail", "refused", request_id, now, body={"reason": reason})
    service.wake("deliver")
    course.let_go(service, request_id, actor, now)


def extend(
    service: Service,
    request_id: str,
    actor: Actor,
    now: datetime,
    reason: str = "complex",
    once: Once = WITHOUT_KEY,
) -> None:
    """Take two months more, once, and only while the first month lasts: the person is told within it, and why."""
    if reason not in EXTENSIONS:
        raise InvalidInputError("reason is not one of " + ", ".join(EXTENSIONS))
    with service.database.write() as connection:
        request = _locked(connection, request_id, "received", once)
        if request.extended or now > identity_check.deadline(request, now):
            raise ConflictError("a request is extended once, within its first month")
        two_months = deadlines.due_at(request.received_at, deadlines.EXTENDED_MONTHS) - deadlines.due_at(
            request.received_at
        )
        due_at = request.due_at + two_months
        values = {"extended": True, "due_at": due_at, "reminded_at": None}
        requests.change(connection, request_id, when=["received"], **values)
        tasks.close_task(connection, "request_due", request_id, actor.id, now)
        outbox.void(connection, request_id, ["receipt"])
        outbox.add(connection, "mail", "extended", request_id, now, body={"reason": reason})
        body = {"due_at": due_at.isoformat(), "reason": reason}
        audit.append(connection, type="request.extended", actor=actor.id, subject=request_id, body=body, now=now)
    service.wake("deliver")


def reissue(service: Service, request_id: str, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> None:
    """Send a new link; the last one, and the session of whoever used it, end at once. Raises `ConflictError`."""
    fresh = course.resealed(service, course.found(service, request_id), now)
    with service.database.write() as connection:
        request = _locked(connection, request_id, "answered", once)
        if request.kind not in DISCLOSING:
            raise ConflictError("this request has no link")
        requests.change(connection, request_id, when=["answered"], **fresh)
        access_links.end_all(connection, request_id, "void")
        link_id = access_links.queue(connection, request_id, now)
        for kind in TASKS:
            tasks.close_task(connection, kind, request_id, actor.id, now)
        body = {"link_id": link_id}
        audit.append(connection, type="link.reissued", actor=actor.id, subject=request_id, body=body, now=now)
    service.wake("deliver")


def revoke(service: Service, request_id: str, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> None:
    """Close the request's links, without sending another. The request stays open until they would have run out."""
    with service.database.write() as connection:
        _locked(connection, request_id, "answered", once)
        ended = access_links.end_all(connection, request_id, "revoked")
        if ended:
            audit.append(
                connection,
                type="link.revoked",
                actor=actor.id,
                subject=request_id,
                body={"links": sorted(ended)},
                now=now,
            )


def due(service: Service, now: datetime) -> int:
    """Remind of deadlines, close what has run out, and finish what was begun. Returns how many were closed."""
    _remind(service, now)
    with service.database.write() as connection:
        codes.forget_before(connection, now - FORGET)
        outbox.forget_before(connection, now - FORGET)
    with service.database.read() as connection:
        ongoing = requests.open_ones(connection)
        ended = requests.ended_but_not_let_go(connection)
    closed = 0
    for request in ongoing:
        with _by_itself(request.id):
            closed += _go_on(service, request.id, now)
    for request_id in ended:
        with _by_itself(request_id):
            course.let_go(service, request_id, SYSTEM, now)
    return closed


def _go_on(service: Service, request_id: str, now: datetime) -> bool:
    request = course.found(service, request_id)  # as it is by now: those before it may have taken a while
    if request.closed_at is not None:
        return False
    return identity_check.chase(service, request, now) or course.advance(service, request, now)


@contextmanager
def _by_itself(request_id: str) -> Iterator[None]:
    """Keep one request's failure from stopping the others; the next look tries it again."""
    try:
        yield
    except RecorderError as error:
        log.warning("request.not_continued", request_id=request_id, code=error.code)


def _explained(service: Service, request_id: str, explanation: str, now: datetime) -> dict[str, Any]:
    """The columns of whom it is about, with the DPO's words added until the letter is out; empty without any words."""
    request = course.found(service, request_id)
    if not explanation or request.state != "received":
        return {}
    about = contacts.asked(service, request, now) | {"explanation": explanation}
    return contacts.sealed(service, request_id, about, now)


def _remind(service: Service, now: datetime) -> None:
    with service.database.write() as connection:
        for request in requests.to_remind(connection, now + REMIND):
            requests.change(connection, request.id, when=["received"], reminded_at=now)
            tasks.open_task(connection, "request_due", request.id, now)


def _locked(connection: Connection, request_id: str, state: str, once: Once) -> Request:
    """A request in the state an act starts from. Raises `ConflictError`."""
    request = requests.lock(connection, request_id)
    if request is None:
        raise RequestNotFoundError
    if request.state != state:
        raise ConflictError("the request was decided already" if state == "received" else "the request is not answered")
    once.done(connection, request_id)
    return request
