"""How the last test call to each line went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from storage.tables import CanaryRow

canaries = CanaryRow.__table__


@dataclass(frozen=True)
class Canary:
    """`failed` is the step that failed and `why` gives codes for the reasons; None and empty where all went well."""

    line: str
    ran_at: datetime
    failed: str | None
    why: tuple[str, ...]


def put(connection: Connection, line: str, now: datetime, failed: str | None, why: Sequence[str]) -> None:
    """Remember how a test call went, replacing the one before. Only one runs at a time."""
    row = {"ran_at": now, "failed": failed, "why": list(why)}
    if not connection.execute(update(canaries).where(canaries.c.line == line).values(row)).rowcount:
        connection.execute(insert(canaries).values(line=line, **row))


def forget(connection: Connection, line: str) -> None:
    """Forget a line that the line table no longer has."""
    connection.execute(delete(canaries).where(canaries.c.line == line))


def latest(connection: Connection) -> list[Canary]:
    found = connection.execute(select(canaries).order_by(canaries.c.line)).mappings()
    return [Canary(row["line"], row["ran_at"], row["failed"], tuple(row["why"] or ())) for row in found]
