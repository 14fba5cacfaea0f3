"""Browsers that opened a link or signed in. The cookie carries a random token; the row keeps its SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, select, update

from storage.clock import new_id
from storage.tables import SessionRow

sessions = SessionRow.__table__


@dataclass(frozen=True)
class Session:
    id: str
    kind: str  # link | staff
    link_id: str | None
    token_id: str | None
    verified: bool
    language: str | None
    created_at: datetime
    expires_at: datetime


COLUMNS = [sessions.c[name] for name in Session.__dataclass_fields__]


def start(
    connection: Connection,
    *,
    kind: str,
    now: datetime,
    expires_at: datetime,
    link_id: str | None = None,
    token_id: str | None = None,
    verified: bool = False,
    language: str | None = None,
) -> tuple[str, Session]:
    """Open a session; returns the token for the cookie, which is kept nowhere else, and the session."""
    token = secrets.token_urlsafe(32)
    session = Session(new_id("ses"), kind, link_id, token_id, verified, language, now, expires_at)
    connection.execute(sessions.insert().values(**session.__dict__, token_hash=_hash(token)))
    return token, session


def find(connection: Connection, token: str, now: datetime) -> Session | None:
    """The session of a cookie, unless it has run out."""
    return _one(
        connection.execute(
            select(*COLUMNS).where(sessions.c.token_hash == _hash(token), sessions.c.expires_at > now)
        ).first()
    )


def renamed(
    connection: Connection, session_id: str, *, verified: bool, expires_at: datetime
) -> tuple[str, Session] | None:
    """Give a session a new id and token, as is due whenever its rights grow; the old token opens nothing any more.

    None where the session is gone, or another request renamed it first.
    """
    token = secrets.token_urlsafe(32)
    row = connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id)
        .values(id=new_id("ses"), token_hash=_hash(token), verified=verified, expires_at=expires_at)
        .returning(*COLUMNS)
    ).first()
    session = _one(row)
    return None if session is None else (token, session)


def extend(connection: Connection, session_id: str, expires_at: datetime) -> bool:
    """Let a session live until a later moment; never until an earlier one."""
    extended = connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.expires_at < expires_at)
        .values(expires_at=expires_at)
    )
    return extended.rowcount == 1


def end(connection: Connection, session_id: str) -> None:
    connection.execute(delete(sessions).where(sessions.c.id == session_id))


def end_of_link(connection: Connection, link_id: str) -> int:
    """End every session of a link."""
    return connection.execute(delete(sessions).where(sessions.c.link_id == link_id)).rowcount


def end_of_token(connection: Connection, token_id: str) -> int:
    """End every session that was signed in to with a staff token."""
    return connection.execute(delete(sessions).where(sessions.c.token_id == token_id)).rowcount


def forget_expired(connection: Connection, now: datetime) -> int:
    return connection.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount


def _one(row: Row[tuple[object, ...]] | None) -> Session | None:
    return None if row is None else Session(**row._asdict())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
