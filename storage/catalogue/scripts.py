"""Consent scripts by name and version. A version never changes; approving it is the one thing done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from storage.catalogue.upsert import insert_new
from storage.tables import ScriptRow

scripts = ScriptRow.__table__


@dataclass(frozen=True)
class ScriptVersion:
    """One row of the registry."""

    name: str
    version: int
    language: str
    texts: dict[str, str]
    purposes: list[str]
    retention_days: int
    sha256: str
    added_at: datetime
    approved_at: datetime | None = None
    approved_by: str | None = None


def insert(connection: Connection, versions: Sequence[ScriptVersion]) -> list[tuple[str, int]]:
    """Add versions; those already there stay as they are. Returns name and version of the new ones."""
    added = insert_new(connection, scripts, [asdict(version) for version in versions], conflict=["name", "version"])
    return [(row.name, row.version) for row in added]


def latest_version(connection: Connection, name: str) -> int:
    """The highest version of a name, 0 where there is none."""
    statement = select(func.max(scripts.c.version)).where(scripts.c.name == name)
    return connection.execute(statement).scalar_one() or 0


_EXACT = select(scripts).where(scripts.c.name == bindparam("script"), scripts.c.version == bindparam("number"))


def get(connection: Connection, name: str, version: int) -> ScriptVersion | None:
    return _version(connection.execute(_EXACT, {"script": name, "number": version}).mappings().one_or_none())


def approved(connection: Connection, name: str, now: datetime) -> ScriptVersion | None:
    """The highest version approved by `now`."""
    statement = (
        select(scripts)
        .where(scripts.c.name == name, scripts.c.approved_at <= now)
        .order_by(scripts.c.version.desc())
        .limit(1)
    )
    return _version(connection.execute(statement).mappings().one_or_none())


def approve(connection: Connection, name: str, version: int, by: str, now: datetime) -> bool:
    """Mark a version as approved; False where it is not there or was approved before."""
    statement = (
        update(scripts)
        .where(scripts.c.name == name, scripts.c.version == version, scripts.c.approved_at.is_(None))
        .values(approved_at=now, approved_by=by)
    )
    return connection.execute(statement).rowcount > 0


def everything(connection: Connection) -> list[ScriptVersion]:
    """The whole registry, by name and version."""
    rows = connection.execute(select(scripts).order_by(scripts.c.name, scripts.c.version)).mappings()
    return [ScriptVersion(**row) for row in rows]


def _version(row: RowMapping | None) -> ScriptVersion | None:
    return None if row is None else ScriptVersion(**row)
