"""Mails that came back. A bounce names its message by the Message-ID; it is random, so only who got the mail knows it.

Handles personal data: a bounce repeats the address. Only the id and the verdict are taken out of it, nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message as Mail
from typing import Literal

from recorder import access_links
from recorder.actors import Actor
from recorder.delivery import letters
from recorder.delivery.letters import StoppedError
from recorder.errors import InvalidInputError, NotFoundError
from recorder.ports import Service
from storage import audit
from storage.catalogue import outbox, tasks

LONGEST = 10_000_000
ENOUGH = 256 * 1024  # what a bounce says stands at its front; a mail made to keep us busy may go on for long
ENOUGH_OF_A_FIELD = 1000  # Python takes apart a header field in the square of its length
MESSAGE_ID = re.compile(r"^message-id:\s*<?(msg_[a-z2-7]{26})[@>\s]", re.IGNORECASE | re.MULTILINE)
BARE = re.compile(r"<?(msg_[a-z2-7]{26})(?:@[^\s<>]*)?>?")

Outcome = Literal["stopped", "nothing"]


def report(service: Service, message_id: str, actor: Actor, now: datetime) -> Outcome:
    """A mail of ours did not arrive: its link opens nothing any more, and people are asked to look.

    Takes the `Message-ID` or the id in it; "nothing" where it was reported already. Raises `NotFoundError` for a
    message that is not ours or is forgotten, `InvalidInputError` for what is no id.
    """
    found = BARE.fullmatch(message_id.strip())
    if found is None:
        raise InvalidInputError("message_id is not one of ours")
    with service.database.read() as connection:
        message = outbox.get(connection, found[1])
    if message is None or message.kind != "mail":
        raise NotFoundError("no such mail, or it is forgotten")
    try:
        writing = letters.begin(service, message)
    except StoppedError:
        return "nothing"
    with service.database.write() as connection:
        ended = writing.link is not None and access_links.stop(connection, writing.link.id)
        outbox.bounced(connection, message.id)
        if not tasks.open_task(connection, "delivery_failed", writing.request.id, now) and not ended:
            return "nothing"
        body = {"message_id": message.id, "reason": "bounced"}
        audit.append(connection, type="message.stopped", actor=actor.id, subject=writing.request.id, body=body, now=now)
    return "stopped"


def report_mail(service: Service, mail: bytes, actor: Actor, now: datetime) -> Outcome:
    """Take a bounce as it came by mail (RFC 3464). A delay, a receipt or a holiday greeting changes nothing.

    Raises `InvalidInputError` for a failure that does not say which mail of ours it is about.
    """
    try:
        bounce = message_from_bytes(mail[:ENOUGH], policy=_Brief())
        if not any(_failed(part) for part in bounce.walk()):
            return "nothing"
        returned = list(_returned(bounce))
    except RecursionError:
        raise InvalidInputError("the mail is nested too deep") from None
    for text in returned:
        if found := MESSAGE_ID.search(text):
            return report(service, found[1], actor, now)
    raise InvalidInputError("the bounce does not say which mail came back")


class _Brief(policy.Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:ENOUGH_OF_A_FIELD]


def _failed(part: Mail) -> bool:
    if part.get_content_type() != "message/delivery-status":
        return False
    actions = [str(block.get("Action", "")) for block in _inside(part)]
    return any(action.strip().lower() == "failed" for action in actions)


def _returned(bounce: Mail) -> Iterator[str]:
    """The headers of the mail that came back."""
    for part in bounce.walk():
        if part.get_content_type() == "message/rfc822":
            yield from (f"Message-ID: {inner.get('Message-ID', '')}\n" for inner in _inside(part))
        elif part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            yield payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _inside(part: Mail) -> list[Mail]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Mail)] if isinstance(payload, list) else []
