"""What `recorder doctor` asks PostgreSQL, and what of it forbids a start."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from api import server
from recorder import checkup
from recorder.checkup import house
from recorder.errors import UnsafeError
from recorder.ports import Service
from tests.conftest import MovingClock


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


def test_p6_a_database_that_may_forget_what_it_acknowledged_forbids_the_start(
    service: Service, clock: MovingClock
) -> None:
    """The tests' own server is hasty; with a public address that is no good."""
    engine = create_engine(service.settings.database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    engine.dispose()
    service.database.engine.dispose()  # its next connection sees it
    http = service.settings.http.model_copy(update={"public_url": "https://recorder.example.com"})
    public = replace(service, settings=service.settings.model_copy(update={"http": http}))

    assert "database_hasty" in {one.code for one in house.database(service, clock())}
    server.sound(checkup.examine_start(service, clock()))
    with pytest.raises(UnsafeError, match="synchronous_commit is off"):
        server.sound(checkup.examine_start(public, clock()))


def test_names_the_server_and_warns_of_a_superuser(service: Service, clock: MovingClock) -> None:
    found = {one.code: one.text for one in house.database(service, clock())}
    assert found["database_ok"].startswith("PostgreSQL 1")
    assert "database_superuser" in found
    assert "database_plain" not in found, "a socket on this machine needs no encryption"
