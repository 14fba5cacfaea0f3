"""Hands over what waits in the outbox: claimed, minted, sent, noted. Handles addresses, tokens and codes.

Addresses are asked of the directory at the moment of sending and kept nowhere. The hash of a new token or code is
committed before the message leaves, so that one that arrives always works; a second try mints anew and voids the
first. Nothing is sent where the address on file is not the one the link was sent to: that is for people to look at.
"""

from __future__ import annotations

import hmac
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from recorder import access_links, contacts, notices
from recorder.contacts import Contact
from recorder.couriers import mailer_for, texter_for
from recorder.errors import RecorderError
from recorder.ports import Service
from recorder.settings import Organisation
from storage import audit
from storage.catalogue import calls, codes, links, outbox, recordings, requests, tasks
from storage.catalogue.codes import Code
from storage.catalogue.links import Link
from storage.catalogue.outbox import Message
from storage.catalogue.requests import Request

__all__ = ["deliver_due", "mailer_for", "texter_for"]

LEASE = timedelta(seconds=120)  # longer than the slowest relay is waited for
LIMIT = 100
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP = {"mail": timedelta(hours=48), "sms": timedelta(minutes=10)}

log = structlog.get_logger(__name__)


class _StoppedError(Exception):
    """This message will not be sent; `task` says what people must look at, if anything."""

    def __init__(self, task: str | None = None) -> None:
        super().__init__(task)
        self.task = task


@dataclass(frozen=True)
class _Case:
    """A message with the link it is about and whoever it goes to."""

    message: Message
    link: Link
    request: Request
    contact: Contact
    organisation: Organisation


def deliver_due(service: Service, now: datetime, limit: int = LIMIT) -> int:
    """Hand over what is due; returns how many messages were. May run in several processes at once."""
    sent = 0
    for _ in range(limit):
        with service.database.write() as connection:
            message = outbox.claim(connection, now, now + LEASE)
        if message is None:
            break
        sent += _deliver(service, message, now)
    return sent


def _deliver(service: Service, message: Message, now: datetime) -> bool:
    request_id = None
    try:
        link, request, code = _subject(service, message)
        request_id = request.id
        if now - message.created_at > GIVE_UP[message.kind]:
            raise _StoppedError("delivery_failed" if message.kind == "mail" else None)
        case = _Case(message, link, request, _reached(service, link, request, now), _speaker(service, request))
        if code is None:
            _send_mail(service, case, now)
        else:
            _send_code(service, case, code, now)
    except _StoppedError as stopped:
        _stop(service, message, request_id, stopped.task, now)
        return False
    except RecorderError as error:
        log.warning("message.not_delivered", message_id=message.id, kind=message.kind, code=error.code)
        if not error.retryable:  # the key of whom it is about is gone, or the request is over
            _stop(service, message, request_id, "delivery_failed", now)
            return False
        with service.database.write() as connection:
            outbox.put_off(connection, message, now + _wait(message.tries))
        return False
    return True


def _subject(service: Service, message: Message) -> tuple[Link, Request, Code | None]:
    with service.database.read() as connection:
        code = codes.get(connection, message.subject_id) if message.kind == "sms" else None
        link = links.get(connection, code.link_id if code else message.subject_id)
        request = requests.get(connection, link.request_id) if link else None
    if link is None or request is None or link.state not in links.ALIVE or (code and code.state == "void"):
        raise _StoppedError
    return link, request, code


def _reached(service: Service, link: Link, request: Request, now: datetime) -> Contact:
    """Where the person is reached today, if that is where they were reached before."""
    found = contacts.contact(service, request, now)
    if found is None or not found.email or not found.mobile:
        raise _StoppedError("contact_missing")
    if not found.mobile.startswith(service.settings.sms.prefixes):
        raise _StoppedError("contact_missing")
    if link.contact is not None and not hmac.compare_digest(link.contact, found.mark):
        raise _StoppedError("contact_changed")
    return found


def _speaker(service: Service, request: Request) -> Organisation:
    """The brand of the calls, where it is one."""
    with service.database.read() as connection:
        rows = [recordings.get(connection, one.recording_id) for one in requests.matched(connection, request.id)]
        of_calls = calls.many(connection, {row.call_id for row in rows if row is not None})
    brands = {call.brand for call in of_calls.values()}
    return service.settings.organisation_for(brands.pop() if len(brands) == 1 else None)


def _send_mail(service: Service, case: _Case, now: datetime) -> None:
    with service.database.write() as connection:
        if not outbox.still_ours(connection, case.message):
            return
        minted = access_links.mint(
            connection, case.link.id, contact=case.contact.mark, language=case.contact.language, now=now
        )
        if minted is None:
            raise _StoppedError
        granted = [one.recording_id for one in requests.matched(connection, case.request.id) if one.approved]
        rows = [recordings.get(connection, one) for one in granted]
    token, until = minted
    notice = notices.AccessNotice(
        language=case.contact.language,
        organisation=case.organisation,
        sender=service.settings.mail.sender or case.organisation.dpo_email,
        to=case.contact.email or "",
        link=f"{service.settings.http.public_url}/access/#{token}",
        last_digits=(case.contact.mobile or "")[-2:],
        called_at=[row.call_started_at for row in rows if row is not None and row.call_started_at is not None] or [now],
        works_until=until,
    )
    service.mailer.send(notice.to, notices.access_mail(notice, now))
    _note(service, case, "link.sent", now)


def _send_code(service: Service, case: _Case, code: Code, now: datetime) -> None:
    with service.database.write() as connection:
        if not outbox.still_ours(connection, case.message):
            return
        digits = access_links.mint_code(service, connection, code, now)
    if digits is None:
        raise _StoppedError
    host = urlsplit(service.settings.http.public_url).hostname or ""
    text = notices.code_text(digits, name=case.organisation.name, host=host, language=case.contact.language)
    service.texter.send(case.contact.mobile or "", text)
    _note(service, case, "code.sent", now)


def _note(service: Service, case: _Case, kind: str, now: datetime) -> None:
    """Write down that it was handed over. Lost to a crash, the message is sent once more, with a new secret."""
    body = {"link_id": case.link.id, "message_id": case.message.id}
    with service.database.write() as connection:
        if outbox.finish(connection, case.message, "sent", now):
            audit.append(connection, type=kind, actor="system", subject=case.request.id, body=body, now=now)


def _stop(service: Service, message: Message, request_id: str | None, task: str | None, now: datetime) -> None:
    with service.database.write() as connection:
        ended = outbox.finish(connection, message, "failed" if task else "void", now)
        if message.kind == "sms":
            codes.void(connection, message.subject_id)
        if ended and task and request_id:
            tasks.open_task(connection, task, request_id, now)
            body = {"message_id": message.id, "reason": task}
            audit.append(connection, type="message.stopped", actor="system", subject=request_id, body=body, now=now)


def _wait(tries: int) -> timedelta:
    """Longer each time, and never in step with others who wait for the same relay."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * (1 << min(tries, 12)))
    return longest * random.uniform(0.75, 1.0)  # noqa: S311 -- not a secret
