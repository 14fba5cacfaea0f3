"""Telling other systems what happened, by random ids only: outgoing Standard Webhooks.

What is to be told is written down by the transaction of the act itself, and told at least once, in no promised
order. Subscribers ask the API what it is about, with a token and a role.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from recorder import faultpoints, fetch, signing
from recorder.actors import SYSTEM
from recorder.errors import PlatformError
from recorder.ports import Service
from recorder.settings import BulletinType
from storage.catalogue import bulletins, tasks
from storage.catalogue.bulletins import Bulletin
from storage.clock import rfc3339

# After each try that failed: the schedule Standard Webhooks recommends, about three days in all.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
KEPT = timedelta(days=5)
ALARM_AFTER = timedelta(days=1)
TIMEOUT_SECONDS = 15
LEASE = timedelta(seconds=60)
LIMIT = 200
FAILING, GONE = "subscriber_failing", "subscriber_gone"
SAYS_GONE = 410

log = structlog.get_logger(__name__)


def tell(
    service: Service, connection: Connection, kind: BulletinType, told: Sequence[dict[str, str]], now: datetime
) -> None:
    """Have subscribers told of what this transaction does; nothing where there are none. Ids only."""
    names = [name for name, one in service.settings.subscribers.items() if kind in one.events]
    bulletins.add(connection, kind, told, names, now)


def deliver(service: Service, limit: int = LIMIT) -> bool:
    """Tell what is due; says whether there may be more. May run in several processes at once.

    A subscriber that does not answer is left alone for the rest of the run, so that nobody waits for it but itself.
    """
    answering = deque(sorted(_subscribed(service)))  # in turn: a claim for several would sort all that is due
    for _ in range(limit):
        now = service.clock()  # each message is stamped when it leaves: receivers refuse what is minutes old
        if not answering:
            return False
        with service.database.write() as connection:
            bulletin = bulletins.claim(connection, answering[0], now, now + LEASE)
        if bulletin is not None and _told(service, bulletin, now):
            answering.rotate(-1)
        else:
            answering.popleft()
    return True


def _subscribed(service: Service) -> set[str]:
    """Every subscriber that has not answered 410; one that has is told again once a person has closed the task."""
    names = set(service.settings.subscribers)
    if not names:
        return names
    with service.database.read() as connection:
        gone = {task.subject_id for task in tasks.open_tasks(connection, kind=GONE)}
    for name in names & gone:
        with service.database.write() as connection:
            bulletins.remove_all(connection, name)
    return names - gone


def _told(service: Service, bulletin: Bulletin, now: datetime) -> bool:
    status = _post(service, bulletin, now)
    faultpoints.reached("bulletin.posted")
    with service.database.write() as connection:
        if status is not None and 200 <= status < 300:  # noqa: PLR2004 -- HTTP's own range
            bulletins.remove(connection, bulletin)
            tasks.close_task(connection, FAILING, bulletin.subscriber, SYSTEM.id, now)
            return True
        if status == SAYS_GONE:
            bulletins.remove_all(connection, bulletin.subscriber)
            tasks.open_task(connection, GONE, bulletin.subscriber, now)
        else:
            _again(connection, bulletin, now)
    log.warning("bulletin.not_delivered", subscriber=bulletin.subscriber, bulletin_id=bulletin.id, status=status)
    return False


def _post(service: Service, bulletin: Bulletin, now: datetime) -> int | None:
    """The status it was answered with, None where there was no answer."""
    subscriber = service.settings.subscribers[bulletin.subscriber]
    body = content(bulletin)
    signed = signing.headers(subscriber.signers, bulletin.id, now, body)
    try:
        return fetch.call(
            "POST",
            subscriber.url,
            origins=[fetch.origin_of(subscriber.url)],
            headers={"content-type": "application/json", "user-agent": "recorder"} | signed,
            body=body,
            timeout_s=TIMEOUT_SECONDS,
            private_ok=True,  # the operator named it
        )
    except PlatformError:
        return None


def content(bulletin: Bulletin) -> bytes:
    """The same bytes at every try."""
    told = {"type": bulletin.type, "timestamp": rfc3339(bulletin.created_at), "data": bulletin.data}
    return json.dumps(told, separators=(",", ":")).encode()


def _again(connection: Connection, bulletin: Bulletin, now: datetime) -> None:
    if now - bulletin.created_at >= ALARM_AFTER:
        tasks.open_task(connection, FAILING, bulletin.subscriber, now)
    if bulletin.tries >= len(WAITS):
        bulletins.remove(connection, bulletin)
    else:
        wait = WAITS[bulletin.tries] * random.uniform(1.0, 1.1)  # noqa: S311 -- not a secret
        bulletins.put_off(connection, bulletin, now + wait)
