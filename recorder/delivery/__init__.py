"""Hands over what waits in the outbox: claimed, written, sent, noted. Handles addresses, tokens and codes.

Addresses are asked of the directory at the moment of sending and kept nowhere. The hash of a new token or code is
committed before the message leaves, so that one that arrives always works. One that was refused is tried again with a
new secret, which voids the first; one whose answer was lost may have arrived, and is repeated as it was. Nothing is
sent where the address on file is not the one the link was sent to: that is for people to look at.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

import structlog

from recorder import access_links
from recorder.actors import SYSTEM
from recorder.delivery import letters
from recorder.delivery.letters import StoppedError, Writing
from recorder.errors import DeliveryRefusedError, DeliveryUnknownError, RecorderError
from recorder.faultpoints import reached
from recorder.ports import Service
from storage import audit
from storage.catalogue import codes, links, outbox, tasks
from storage.catalogue.outbox import Message

LEASE = timedelta(seconds=150)  # longer than the slowest relay is waited for: connecting, then `smtp.EXCHANGE_S`
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
MAIL = ("mail",)
CODES = ("sms", "call")
GIVE_UP = {"mail": timedelta(hours=48), "sms": timedelta(minutes=10), "call": timedelta(minutes=10)}

log = structlog.get_logger(__name__)


def deliver_next(service: Service, now: datetime, kinds: Collection[str]) -> Literal["sent", "not_sent"] | None:
    """Hand over the message of these kinds that waits longest; None where none is due."""
    with service.database.write() as connection:
        message = outbox.claim(connection, now, now + LEASE, kinds)
    if message is None:
        return None
    reached("deliver.claimed")
    return "sent" if _deliver(service, message, now) else "not_sent"


def _deliver(service: Service, message: Message, now: datetime) -> bool:
    writing: Writing | None = None
    try:
        writing = letters.begin(service, message)
        if now - message.created_at > GIVE_UP[message.kind]:
            raise StoppedError("delivery_failed" if message.kind == "mail" or message.tries else None)
        noted = letters.hand_over(service, writing, now)
        reached("deliver.sent")
    except StoppedError as stopped:
        _stop(service, message, writing, stopped.task, now)
        return False
    except RecorderError as error:
        _failed(service, message, writing, error, now)
        return False
    _note(service, message, writing, noted, now)
    return True


def _failed(service: Service, message: Message, writing: Writing | None, error: RecorderError, now: datetime) -> None:
    log.warning("message.not_delivered", message_id=message.id, kind=message.kind, code=error.code)
    if not error.retryable:  # refused for good, or nobody knows any more whom it is about
        _stop(service, message, writing, "delivery_failed", now, refused=isinstance(error, DeliveryRefusedError))
        return
    # What was handed over once with the answer unknown may have arrived: its secret stays as it is.
    anew = not (message.uncertain or isinstance(error, DeliveryUnknownError))
    with service.database.write() as connection:
        outbox.put_off(connection, message, now + _wait(message.tries), anew=anew)


def _note(service: Service, message: Message, writing: Writing, kind: str, now: datetime) -> None:
    """Write down that it was handed over. If a crash prevents that, the message is sent once more, as it was."""
    body = {"message_id": message.id} | ({"link_id": writing.link.id} if writing.link else {})
    with service.database.write() as connection:
        if outbox.finish(connection, message, "sent", now):
            audit.append(connection, type=kind, actor=SYSTEM.id, subject=writing.request.id, body=body, now=now)
    if writing.request.closed_at is not None:
        service.wake("requests")  # now that the last letter is out, whom it was about can be forgotten


def _stop(
    service: Service,
    message: Message,
    writing: Writing | None,
    task: str | None,
    now: datetime,
    *,
    refused: bool = False,
) -> None:
    with service.database.write() as connection:
        if refused and writing is not None and writing.link is not None:
            links.get(connection, writing.link.id, lock=True)  # before its message, in the order of whoever ends a link
        if not outbox.finish(connection, message, "failed" if task else "void", now):
            return  # another worker has it by now, and may have sent it
        if message.kind in CODES:
            codes.void(connection, message.subject_id)
        if task is None or writing is None:
            return
        if refused and writing.link is not None and writing.code is None:
            access_links.stop(connection, writing.link.id)
        tasks.open_task(connection, task, writing.request.id, now)
        body = {"message_id": message.id, "reason": task}
        audit.append(
            connection, type="message.stopped", actor=SYSTEM.id, subject=writing.request.id, body=body, now=now
        )


def _wait(tries: int) -> timedelta:
    """Longer each time, and never in step with others who wait for the same relay."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * (1 << min(tries, 12)))
    return longest * random.uniform(0.75, 1.0)  # noqa: S311 -- not a secret
