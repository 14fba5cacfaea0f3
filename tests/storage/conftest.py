"""Databases for what is kept in rows: SQLite and PostgreSQL in turn."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.migrations import migrate
from tests.conftest import DATABASES
from tests.servers.postgresql import Server


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def empty_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a database of its own may be made."""
    if database_kind == "sqlite":
        yield _file(tmp_path)
        return
    running: Server = request.getfixturevalue("postgresql_server")
    url = running.create()
    yield url
    running.drop(url)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The URL of a database that has its tables and nothing in them, to be copied: made once for a kind."""

    @functools.cache
    def made(kind: str) -> str:
        if kind == "sqlite":
            url = _file(tmp_path_factory.mktemp("migrated"))
        else:
            url = request.getfixturevalue("postgresql_server").create()
        database = Database(url)
        migrate(database)
        database.close()
        return url

    return made


@pytest.fixture
def url(
    database_kind: str, migrated: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Where a migrated database is."""
    template = migrated(database_kind)
    if database_kind == "sqlite":
        shutil.copy(template.removeprefix("sqlite:///"), tmp_path)
        yield _file(tmp_path)
        return
    running: Server = request.getfixturevalue("postgresql_server")
    url = running.create(template)
    yield url
    running.drop(url)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def _file(folder: Path) -> str:
    return f"sqlite:///{folder / 'recorder.sqlite'}"
