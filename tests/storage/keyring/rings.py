"""A key ring as another process sees it, and what lies in it and in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from sqlalchemy import func, select

from storage.database import Database
from storage.keymaking import keys
from storage.keyobjects import KeyName
from storage.keyring import DAYS_AHEAD, KeyRing
from storage.objects_folder import FolderStore

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
ROOT = bytes(range(32))
ALL = DAYS_AHEAD + 1 + 9  # day keys today … +97, inbox keys -1 … +7
EXPIRY = date(2026, 12, 2)
NOTE = KeyName("rec_abc", "20261202")


def another(database: Database, ring: FolderStore, mirror: FolderStore | None = None, root: bytes = ROOT) -> KeyRing:
    """The ring as another process sees it."""
    keyring = KeyRing(database, ring, root, mirror)
    keyring.open(NOW)
    return keyring


def states(database: Database) -> dict[str, int]:
    with database.read() as connection:
        counted = connection.execute(select(keys.c.state, func.count()).group_by(keys.c.state))
        return {state: count for state, count in counted}  # noqa: C416 -- a Row is no pair to `dict`


def objects(ring: FolderStore) -> set[str]:
    return {key.partition(".")[0] for key in ring.keys("")}


def rows(database: Database) -> set[str]:
    with database.read() as connection:
        return {f"{row.day}/{row.id}" for row in connection.execute(select(keys.c.id, keys.c.day))}


def raising(error: OSError) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail
