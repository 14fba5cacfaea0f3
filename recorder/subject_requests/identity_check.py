"""Asking who is asking: the person is written to, reminded, and after thirty days the case is closed.

While we wait, the deadline stands still (GDPR art. 12(6)) and what a request for access holds stays held. A closed case
forgets whom it was about; whoever writes again opens a new one (docs/adr/0016). If our question never arrived, the
person was not asked: the deadline is what it was, and people look after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from recorder import access_links
from recorder.actors import SYSTEM, Actor
from recorder.errors import ConflictError, RequestNotFoundError
from recorder.once import WITHOUT_KEY, Once
from recorder.ports import Service
from recorder.subject_requests import course
from storage import audit
from storage.catalogue import outbox, requests, tasks
from storage.catalogue.requests import Request

REMIND_AFTER = timedelta(days=14)
TASK = "identity_unanswered"
LETTER = "identity"
NOT_ASKED = {"identity_asked_at": None, "identity_reminded_at": None, "reminded_at": None}


def closes_at(asked_at: datetime) -> datetime:
    """The end of the thirtieth day after: a mail that says "by the 22nd" must be right at any hour of it."""
    return access_links.runs_out(asked_at)


def deadline(request: Request, now: datetime) -> datetime:
    """The deadline of a request if the person told us now who they are: it moves on for as long as we wait for that."""
    asked_at = request.identity_asked_at
    return request.due_at if asked_at is None else request.due_at + (now - asked_at)


def ask(service: Service, request_id: str, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> None:
    """Write to the address on file that we must know who asks; from now on the deadline stands still.

    Raises `ConflictError` where it was decided, or asked, already.
    """
    fresh = course.resealed(service, course.found(service, request_id), now)
    with service.database.write() as connection:
        once.done(connection, request_id)
        request = requests.lock(connection, request_id)
        if request is None:
            raise RequestNotFoundError
        if request.state != "received" or request.identity_asked_at is not None:
            raise ConflictError("the request was decided, or its person asked, already")
        requests.change(
            connection, request_id, when=["received"], identity_asked_at=now, identity_reminded_at=None, **fresh
        )
        tasks.close_task(connection, "request_due", request_id, actor.id, now)
        outbox.void(connection, request_id, ["receipt"])  # it would say the same, and less
        outbox.add(connection, "mail", LETTER, request_id, now)
        body = {"until": closes_at(now).isoformat()}
        audit.append(connection, type="identity.asked", actor=actor.id, subject=request_id, body=body, now=now)
    service.wake("deliver")


def answered(service: Service, request_id: str, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> None:
    """The person has answered: the deadline goes on, by as much later as we waited. Raises `ConflictError`."""
    with service.database.write() as connection:
        once.done(connection, request_id)
        request = requests.lock(connection, request_id)
        if request is None:
            raise RequestNotFoundError
        if request.state != "received" or request.identity_asked_at is None:
            raise ConflictError("nobody is waited for")
        due_at = deadline(request, now)
        requests.change(connection, request_id, when=["received"], **NOT_ASKED, due_at=due_at)
        outbox.void(connection, request_id, [LETTER, "identity_reminder"])
        tasks.close_task(connection, TASK, request_id, actor.id, now)
        body = {"due_at": due_at.isoformat()}
        audit.append(connection, type="identity.answered", actor=actor.id, subject=request_id, body=body, now=now)


def chase(service: Service, request: Request, now: datetime) -> bool:
    """Remind after fourteen days, close after thirty; says whether that closed it. May be called again."""
    if request.state != "received" or request.identity_asked_at is None or _unheard(service, request, now):
        return False
    if now >= closes_at(request.identity_asked_at):
        return _close(service, request, now)
    if now >= request.identity_asked_at + REMIND_AFTER and request.identity_reminded_at is None:
        _remind(service, request, now)
    return False


def _unheard(service: Service, request: Request, now: datetime) -> bool:
    """Take back a question that did not arrive; returns whether that was so."""
    asked_at = request.identity_asked_at
    with service.database.write() as connection:
        if asked_at is None or not outbox.failed(connection, request.id, LETTER, asked_at):
            return False
        if requests.lock(connection, request.id) == request:
            requests.change(connection, request.id, when=["received"], **NOT_ASKED)
            outbox.void(connection, request.id, ["identity_reminder"])
            tasks.close_task(connection, TASK, request.id, SYSTEM.id, now)
            audit.append(connection, type="identity.unheard", actor=SYSTEM.id, subject=request.id, body={}, now=now)
    return True


def _remind(service: Service, request: Request, now: datetime) -> None:
    with service.database.write() as connection:
        latest = requests.lock(connection, request.id)
        if latest != request:  # answered meanwhile, or another was quicker
            return
        requests.change(connection, request.id, when=["received"], identity_reminded_at=now)
        tasks.open_task(connection, TASK, request.id, now)
        outbox.add(connection, "mail", "identity_reminder", request.id, now)
        audit.append(connection, type="identity.reminded", actor=SYSTEM.id, subject=request.id, body={}, now=now)
    service.wake("deliver")


def _close(service: Service, request: Request, now: datetime) -> bool:
    with service.database.write() as connection:
        latest = requests.lock(connection, request.id)
        if latest is None or latest.state != "received" or latest.identity_asked_at != request.identity_asked_at:
            return False
        course.end(connection, request.id, "closed", "identity_unanswered", SYSTEM, now)
        outbox.add(connection, "mail", "identity_closed", request.id, now)
    service.wake("deliver")
    course.let_go(service, request.id, SYSTEM, now)
    return True
