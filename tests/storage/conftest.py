"""A migrated database: SQLite always, PostgreSQL too where TEST_POSTGRESQL names a server (`postgresql+psycopg://…`)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from storage.database import Database
from storage.migrations import migrate

SERVER = os.environ.get("TEST_POSTGRESQL", "")


def kinds() -> list[str]:
    return ["sqlite", "postgresql"] if SERVER else ["sqlite"]


@pytest.fixture(params=kinds())
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database of its own may be made."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'recorder.sqlite'}"
        return
    name = f"test_{secrets.token_hex(8)}"
    server = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def url(empty_url: str) -> str:
    """Where a migrated database is."""
    database = Database(empty_url)
    migrate(database)
    database.close()
    return empty_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()
