"""Rows of the codes sent by SMS. The code is in the SMS alone; the row keeps an HMAC of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from storage.tables import metadata

codes = metadata.tables["codes"]


@dataclass(frozen=True)
class Code:
    id: str
    link_id: str
    session_id: str
    created_at: datetime
    state: str = "queued"
    code_hash: bytes | None = field(default=None, repr=False)
    tries: int = 0
    expires_at: datetime | None = None


def insert(connection: Connection, code: Code) -> None:
    connection.execute(codes.insert().values(**vars(code)))


def get(connection: Connection, code_id: str) -> Code | None:
    row = connection.execute(select(codes).where(codes.c.id == code_id)).first()
    return None if row is None else Code(**row._asdict())


def asked_since(connection: Connection, link_id: str, moment: datetime) -> int:
    """How many codes were asked for after a moment, whatever became of them."""
    statement = select(func.count()).where(codes.c.link_id == link_id, codes.c.created_at > moment)
    return connection.execute(statement).scalar_one()


def latest_since(connection: Connection, link_id: str, moment: datetime) -> str | None:
    """The id of the code asked for last after a moment, whatever became of it."""
    statement = select(codes.c.id).where(codes.c.link_id == link_id, codes.c.created_at > moment)
    return connection.execute(statement.order_by(codes.c.created_at.desc()).limit(1)).scalar_one_or_none()


def mint(connection: Connection, code: Code, code_hash: bytes, expires_at: datetime) -> bool:
    """Make this the only code that opens the link; False where it is void or used. Minting anew gives no tries back."""
    minted = connection.execute(
        update(codes)
        .where(codes.c.id == code.id, codes.c.state.in_(("queued", "sent")))
        .values(code_hash=code_hash, state="sent", expires_at=expires_at)
    )
    if minted.rowcount == 0:
        return False
    others = (codes.c.link_id == code.link_id) & (codes.c.id != code.id) & (codes.c.state == "sent")
    connection.execute(update(codes).where(others).values(state="void", code_hash=None))
    return True


def live(connection: Connection, link_id: str, now: datetime) -> Code | None:
    """The code that opens the link now."""
    statement = select(codes).where(codes.c.link_id == link_id, codes.c.state == "sent", codes.c.expires_at > now)
    row = connection.execute(statement.order_by(codes.c.created_at.desc()).limit(1)).first()
    return None if row is None else Code(**row._asdict())


def take_try(connection: Connection, code_id: str, most: int) -> int | None:
    """Use up one try and return its number; None where none is left. To be called before comparing codes."""
    statement = (
        update(codes)
        .where(codes.c.id == code_id, codes.c.state == "sent", codes.c.tries < most)
        .values(tries=codes.c.tries + 1)
        .returning(codes.c.tries)
    )
    return connection.execute(statement).scalar_one_or_none()


def use(connection: Connection, code_id: str) -> bool:
    """Spend a code: it opens once."""
    statement = update(codes).where(codes.c.id == code_id, codes.c.state == "sent")
    return connection.execute(statement.values(state="used", code_hash=None)).rowcount == 1


def void(connection: Connection, code_id: str) -> None:
    connection.execute(update(codes).where(codes.c.id == code_id).values(state="void", code_hash=None))


def void_of_link(connection: Connection, link_id: str) -> None:
    waiting = (codes.c.link_id == link_id) & codes.c.state.in_(("queued", "sent"))
    connection.execute(update(codes).where(waiting).values(state="void", code_hash=None))


def forget_before(connection: Connection, moment: datetime) -> int:
    """Forget codes asked for before a moment: no limit counts them any more."""
    return connection.execute(delete(codes).where(codes.c.created_at < moment)).rowcount
