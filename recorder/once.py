"""Doing once what is asked for repeatedly: a client's `Idempotency-Key`, bound to its token, for a day.

What was done is written down by the transaction that does it, so no crash lies between the two. Only HMACs and the
id of what was done are kept; an answer is made anew from that id.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from recorder import faultpoints
from recorder.actors import Actor
from recorder.errors import KeyInUseError, KeyReusedError, LeaseLostError
from recorder.ports import Service
from storage.catalogue import idempotency
from storage.catalogue.idempotency import Asked
from storage.clock import new_id
from storage.columns import place

LEASE = timedelta(seconds=60)  # after that, the work of a process that died is taken over
REMEMBERED = timedelta(hours=24)


@dataclass(frozen=True)
class Once:
    """Permission for an act to happen. Its transaction calls `done`, and is rolled back where somebody else did it."""

    mark: bytes | None = None
    lease: str = ""

    @property
    def name(self) -> str | None:
        """For acts that are told apart by a name: the same each time one key is used; None without a key."""
        return None if self.mark is None else self.mark.hex()

    def done(self, connection: Connection, subject_id: str) -> None:
        if self.mark is not None and not idempotency.done(connection, self.mark, self.lease, subject_id):
            raise LeaseLostError


WITHOUT_KEY = Once()
Act = Callable[[Once], str]


def do(service: Service, actor: Actor, key: str | None, asked: bytes, act: Act, now: datetime) -> tuple[str, bool]:
    """Let `act` happen unless this key has seen it done; gives the id it returned, and whether that was earlier.

    `asked` is the request, every byte that matters. An act that fails may be asked for again under the same key.
    Raises `KeyReusedError` where the key was used for another request, `KeyInUseError` while it is being done.
    """
    if key is None:
        return act(WITHOUT_KEY), False
    secret = service.keyring.service_key("idempotency")
    mark = hmac.digest(secret, place("key", actor.id, key), sha256)
    fingerprint = hmac.digest(secret, place("request") + asked, sha256)
    ours = Asked(mark, fingerprint, new_id("lse"), now + LEASE, now)
    with service.database.write() as connection:
        known = idempotency.claim(connection, ours, forgotten=now - REMEMBERED)
    if known.fingerprint != fingerprint:
        raise KeyReusedError
    if known.lease != ours.lease:
        return _earlier(known, now), True
    subject_id = None
    try:
        subject_id = act(Once(mark, ours.lease))
        faultpoints.reached("once.acted")
    finally:
        with service.database.write() as connection:
            idempotency.answer(connection, mark, ours.lease, subject_id)
    return subject_id, False


def _earlier(known: Asked, now: datetime) -> str:
    if known.subject_id is None or (known.lease_until is not None and known.lease_until > now):
        raise KeyInUseError
    return known.subject_id
