"""What a message of the outbox says and to whom, from ids alone. Handles addresses, tokens and codes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import Connection

from recorder import access_links, notices, phones
from recorder.faultpoints import reached
from recorder.ports import Service
from recorder.settings import Organisation
from recorder.subject_requests import contacts, identity_check
from recorder.subject_requests.contacts import Contact
from recorder.voice import spoken_codes
from storage.catalogue import codes, links, outbox, requests
from storage.catalogue.codes import Code
from storage.catalogue.links import Link
from storage.catalogue.outbox import Message
from storage.catalogue.requests import Request


class StoppedError(Exception):
    """This message will not be sent; `task` says what people must look at, if anything."""

    def __init__(self, task: str | None = None) -> None:
        super().__init__(task)
        self.task = task


@dataclass(frozen=True)
class Writing:
    """A message with what it is about: a link, a code for a link, or only the request."""

    message: Message
    request: Request
    link: Link | None = None
    code: Code | None = None


def begin(service: Service, message: Message) -> Writing:
    """Look up what it is about. Raises `StoppedError` where that has ended."""
    with service.database.read() as connection:
        code = codes.get(connection, message.subject_id) if message.template == "code" else None
        linked = code is not None or message.template == "access"
        link = links.get(connection, code.link_id if code else message.subject_id) if linked else None
        request = requests.get(connection, link.request_id if link else message.subject_id)
    if request is None or (linked and (link is None or link.state not in links.ALIVE)):
        raise StoppedError
    if message.template == "code" and (code is None or code.state == "void"):
        raise StoppedError
    return Writing(message, request, link, code)


def hand_over(service: Service, writing: Writing, now: datetime) -> str:
    """Write it, mint its secret, and give it to the courier; returns the type of audit entry that records it.

    Raises `StoppedError` where nobody may be written to, and what couriers and the directory raise.
    """
    known = contacts.contact(service, writing.request, now)
    if writing.link is None:
        return _letter(service, writing, known, now)
    contact = _same(service, writing.link, known)
    if writing.code is None:
        return _access_mail(service, writing, writing.link, contact, now)
    return _code(service, writing, writing.code, contact, now)


def _same(service: Service, link: Link, found: Contact | None) -> Contact:
    """Where the person is reached today, if that is where they were reached before."""
    if found is None or not found.email or not found.number:
        raise StoppedError("contact_missing")
    if not found.number.startswith(service.settings.sms.prefixes) or phones.takes(found.number) is None:
        raise StoppedError("contact_missing")
    if link.contact is not None and not hmac.compare_digest(link.contact, found.mark):
        raise StoppedError("contact_changed")
    return found


def _access_mail(service: Service, writing: Writing, link: Link, contact: Contact, now: datetime) -> str:
    message = writing.message
    with service.database.write() as connection:  # locks the link first, like whoever ends it
        minted = access_links.mint(
            service,
            connection,
            link.id,
            message.version,
            contact=contact.mark,
            language=contact.language,
            now=now,
        )
        if minted is None:
            raise StoppedError
        _leaving(connection, message)
        granted = [one for one in requests.listed(connection, writing.request.id) if one.match.approved]
    reached("deliver.minted")
    token, until = minted
    organisation = _speaker(service, writing.request)
    notice = notices.AccessNotice(
        language=contact.language,
        organisation=organisation,
        sender=service.settings.mail.sender or organisation.dpo_email,
        to=contact.email or "",
        link=f"{service.settings.http.public_url}/access/#{token}",
        last_digits=phones.last_digits(contact.number or ""),
        called_at=[one.started_at for one in granted if one.started_at is not None] or [now],
        works_until=until,
        message_id=message.id,
        by_call=contact.by_call,
    )
    service.mailer.send(notices.address(notice.to), notices.access_mail(notice, now))
    return "link.sent"


def _code(service: Service, writing: Writing, code: Code, contact: Contact, now: datetime) -> str:
    message, number = writing.message, contact.number or ""
    with service.database.write() as connection:
        _leaving(connection, message)
        digits = access_links.mint_code(service, connection, code, message.version, now)
    if digits is None:
        raise StoppedError
    name = _speaker(service, writing.request).name
    public_url = service.settings.http.public_url
    if service.caller is not None and (message.kind == "call" or contact.by_call):
        action = spoken_codes.action(public_url, code.id, message.version, contact.language)
        service.caller.ring(number, spoken_codes.greeting(name, contact.language, action))
        return "code.rung"
    host = urlsplit(public_url).hostname or ""
    minutes = access_links.CODE_LIFE // timedelta(minutes=1)
    text = notices.code_text(digits, name=name, host=host, minutes=minutes, language=contact.language)
    service.texter.send(number, text)
    return "code.sent"


def _letter(service: Service, writing: Writing, contact: Contact | None, now: datetime) -> str:
    message, request = writing.message, writing.request
    if contact is None or not contact.email:
        raise StoppedError(None if message.template == "receipt" else "contact_missing")
    about = contacts.asked(service, request, now)
    with service.database.write() as connection:
        _leaving(connection, message)
    organisation = _speaker(service, request)
    asked_at = request.identity_asked_at
    letter = notices.Letter(
        kind=message.template,
        about=request.kind,
        language=contact.language,
        organisation=organisation,
        sender=service.settings.mail.sender or organisation.dpo_email,
        to=contact.email,
        message_id=message.id,
        received_at=request.received_at,
        due_at=request.due_at,
        asked_at=asked_at,
        closes_at=identity_check.closes_at(asked_at) if asked_at else None,
        reason=(message.body or {}).get("reason", ""),
        explanation=about.get("explanation") or "",
    )
    service.mailer.send(notices.address(letter.to), notices.letter_mail(letter, now))
    return f"{message.template}.sent"


def _leaving(connection: Connection, message: Message) -> None:
    if not outbox.hand_over(connection, message):
        raise StoppedError


def _speaker(service: Service, request: Request) -> Organisation:
    """Who writes: the brand of the calls, where all have the same one; else the organisation itself."""
    with service.database.read() as connection:
        brands = {one.brand for one in requests.listed(connection, request.id) if one.there}
    return service.settings.organisation_for(brands.pop() if len(brands) == 1 else None)
