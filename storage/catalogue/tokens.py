"""Access tokens of people and machines: the SHA-256 of each, never its text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from storage.tables import TokenRow

tokens = TokenRow.__table__


@dataclass(frozen=True)
class TokenInfo:
    id: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def valid(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


INFO = [tokens.c[name] for name in TokenInfo.__dataclass_fields__]
_BY_HASH = select(*INFO).where(tokens.c.token_hash == bindparam("token_hash"))
_BY_ID = select(*INFO).where(tokens.c.id == bindparam("token"))


def add(connection: Connection, token: TokenInfo, token_hash: bytes) -> None:
    connection.execute(insert(tokens).values(**token.__dict__, token_hash=token_hash))


def by_hash(connection: Connection, token_hash: bytes) -> TokenInfo | None:
    return _one(connection, _BY_HASH, token_hash=token_hash)


def by_id(connection: Connection, token_id: str) -> TokenInfo | None:
    return _one(connection, _BY_ID, token=token_id)


def all_tokens(connection: Connection) -> list[TokenInfo]:
    """Every token that is not forgotten, oldest first."""
    return [TokenInfo(*row) for row in connection.execute(select(*INFO).order_by(tokens.c.created_at, tokens.c.id))]


def revoke(connection: Connection, token_id: str, now: datetime) -> bool:
    """End a token; False where there is no such token, or it is revoked already."""
    revoked = connection.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return revoked.rowcount == 1


def forget(connection: Connection, token_id: str) -> None:
    connection.execute(delete(tokens).where(tokens.c.id == token_id))


def forget_before(connection: Connection, moment: datetime) -> int:
    """Forget tokens that ended before a moment, and with them whose they were."""
    ended = func.coalesce(tokens.c.revoked_at, tokens.c.expires_at) < moment
    return connection.execute(delete(tokens).where(ended)).rowcount


def _one(connection: Connection, statement: Select[tuple[Any, ...]], **parameters: object) -> TokenInfo | None:
    row = connection.execute(statement, parameters).first()
    return None if row is None else TokenInfo(*row)
