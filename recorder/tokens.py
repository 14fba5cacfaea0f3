"""Access tokens: how staff, agents' panels and telephony systems say who they are."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection

from recorder.actors import Actor
from recorder.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from recorder.ports import Service
from storage import audit
from storage.catalogue import sessions
from storage.catalogue import tokens as catalogue
from storage.catalogue.tokens import TokenInfo
from storage.clock import new_id

ROLES = ("platform", "agent", "reviewer", "dpo", "operator", "auditor")
DAYS = 90
LONGEST_DAYS = 365
KEPT = timedelta(days=365)  # after its end: for so long the audit log's random ids can be traced to people


def create(
    service: Service, role: str, name: str, now: datetime, days: int = DAYS, *, actor: Actor
) -> tuple[str, TokenInfo]:
    """Make a token; its text is returned here and is nowhere else. Raises `InvalidInputError`."""
    if role not in ROLES:
        raise InvalidInputError(f"no such role; there are {', '.join(ROLES)}")
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInputError(f"a token lives 1 to {LONGEST_DAYS} days")
    text = f"rec_{role}_{secrets.token_urlsafe(32)}"
    token = TokenInfo(new_id("tok"), name, role, now, now + timedelta(days=days), None)
    with service.database.write() as connection:
        catalogue.add(connection, token, _hash(text))
        audit.append(
            connection,
            type="token.created",
            actor=actor.id,
            subject=token.id,
            body={"role": role, "days": days},
            now=now,
        )
    return text, token


def authenticate(service: Service, token: str, now: datetime) -> Actor:
    """Whose token this is. Raises `UnauthenticatedError`, the same for unknown, expired and revoked."""
    with service.database.read() as connection:
        return _actor(catalogue.by_hash(connection, _hash(token)), now)


def holder(service: Service, token_id: str, now: datetime) -> Actor:
    """Who signed in with a token, as long as it is valid. Raises `UnauthenticatedError`."""
    with service.database.read() as connection:
        return _actor(catalogue.by_id(connection, token_id), now)


def list_tokens(service: Service) -> list[TokenInfo]:
    """Every token, oldest first; expired and revoked ones too, for a year, but none that was only lent."""
    with service.database.read() as connection:
        return catalogue.all_tokens(connection)


def revoke(service: Service, token_id: str, now: datetime, *, actor: Actor) -> None:
    """Revoke a token and end the sessions opened with it; again, it does nothing. Raises `NotFoundError`."""
    with service.database.write() as connection:
        if catalogue.by_id(connection, token_id) is None:
            raise NotFoundError("no such token")
        _revoke(connection, token_id, now, actor)


@contextmanager
def lent(service: Service, role: str, name: str, *, actor: Actor) -> Iterator[str]:
    """A token for one act of the service's own, gone with the block: it is nobody's, and the audit log keeps its id."""
    text, token = create(service, role, name, service.clock(), days=1, actor=actor)
    try:
        yield text
    finally:
        with service.database.write() as connection:
            _revoke(connection, token.id, service.clock(), actor)
            catalogue.forget(connection, token.id)


def _revoke(connection: Connection, token_id: str, now: datetime, actor: Actor) -> None:
    if not catalogue.revoke(connection, token_id, now):
        return
    sessions.end_of_token(connection, token_id)
    audit.append(connection, type="token.revoked", actor=actor.id, subject=token_id, body={}, now=now)


def _actor(token: TokenInfo | None, now: datetime) -> Actor:
    if token is None or not token.valid(now):
        raise UnauthenticatedError
    return Actor(token.id, token.role)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
