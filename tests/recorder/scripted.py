"""A database with nothing in it but the scripts that come along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder import scripts
from storage.database import Database
from storage.tables import metadata

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    metadata.create_all(database.engine)
    with database.write() as connection:
        scripts.install(connection, NOW)
    yield database
    database.close()
