"""Rows of access links. The token is in the mail alone; the row keeps its SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select, update

from storage.tables import metadata

links = metadata.tables["links"]

ALIVE = ("minted", "open")


@dataclass(frozen=True)
class Link:
    """A way in for one person. `minted` waits for its mail, `open` was handed over; `contact` is an HMAC."""

    id: str
    request_id: str
    language: str
    created_at: datetime
    expires_at: datetime
    state: str = "minted"
    contact: bytes | None = field(default=None, repr=False)
    openings: int = 0
    failures: int = 0


COLUMNS = [links.c[name] for name in Link.__dataclass_fields__]


def insert(connection: Connection, link: Link) -> None:
    connection.execute(links.insert().values(**vars(link)))


def get(connection: Connection, link_id: str, *, lock: bool = False) -> Link | None:
    """The link; with `lock`, its row stays locked until the transaction ends."""
    statement = select(*COLUMNS).where(links.c.id == link_id)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Link(**row._asdict())


def by_token(connection: Connection, token: str) -> Link | None:
    row = connection.execute(select(*COLUMNS).where(links.c.token_hash == token_hash(token))).first()
    return None if row is None else Link(**row._asdict())


def of_request(connection: Connection, request_id: str) -> list[Link]:
    """A request's links, the newest first."""
    statement = select(*COLUMNS).where(links.c.request_id == request_id)
    rows = connection.execute(statement.order_by(links.c.created_at.desc(), links.c.id))
    return [Link(**row._asdict()) for row in rows]


def hand_over(
    connection: Connection, link_id: str, *, token: str, contact: bytes, language: str, expires_at: datetime
) -> bool:
    """Give a living link its token, voiding the one before. False where the link has ended meanwhile."""
    statement = (
        update(links)
        .where(links.c.id == link_id, links.c.state.in_(ALIVE))
        .values(state="open", token_hash=token_hash(token), contact=contact, language=language, expires_at=expires_at)
    )
    return connection.execute(statement).rowcount == 1


def end(connection: Connection, link_ids: Collection[str], state: str) -> list[str]:
    """Void, revoke or lock live links (a locked one may still be voided or revoked); returns those it ended."""
    ending = (*ALIVE, "locked") if state != "locked" else ALIVE
    statement = (
        update(links)
        .where(links.c.id.in_(list(link_ids)), links.c.state.in_(ending))
        .values(state=state, contact=None)
        .returning(links.c.id)
    )
    return list(connection.execute(statement).scalars())


def count_opening(connection: Connection, link_id: str, most: int, now: datetime) -> bool:
    """Count a verified opening. False, and nothing is counted, where `most` are used up or the link has ended."""
    statement = (
        update(links)
        .where(links.c.id == link_id, links.c.state == "open", links.c.expires_at > now, links.c.openings < most)
        .values(openings=links.c.openings + 1)
    )
    return connection.execute(statement).rowcount == 1


def count_failure(connection: Connection, link_id: str, most: int) -> int | None:
    """Count a wrong code and return how many there were. None, and nothing is counted, beyond the limit."""
    statement = (
        update(links)
        .where(links.c.id == link_id, links.c.state == "open", links.c.failures < most)
        .values(failures=links.c.failures + 1)
        .returning(links.c.failures)
    )
    return connection.execute(statement).scalar_one_or_none()


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
