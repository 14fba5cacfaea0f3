import subprocess
import sys
from subprocess import PIPE

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from storage.database import Database
from storage.errors import ConfigurationError, StorageError
from storage.migrations import migrate
from storage.tables import metadata


def test_migrating_makes_what_the_tables_say(empty_url: str) -> None:
    database = Database(empty_url)

    migrate(database)

    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert differences == [], 'tables.py has moved on: run `python -m storage.migrations "what changes"`'


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(text("INSERT INTO forecast (day, due) VALUES ('20260101', 3)"))

    migrate(database)

    with database.read() as connection:
        assert connection.execute(text("SELECT due FROM forecast")).scalar_one() == 3
    database.close()


def test_a_database_of_a_newer_version_is_refused(empty_url: str) -> None:
    database = Database(empty_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match="newer version"):
        migrate(database)
    database.close()


def test_a_failing_step_leaves_nothing_behind(empty_url: str) -> None:
    database = Database(empty_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE tombstones (id INTEGER)"))
        connection.execute(text("CREATE INDEX ix_spans_recording_id ON tombstones (id)"))

    with pytest.raises((StorageError, DBAPIError)):
        migrate(database)

    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["tombstones"]
    database.close()


START = """
import sys
from storage.database import Database
from storage.migrations import migrate
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(database)
database.close()
"""


def test_processes_may_start_at_the_same_moment(empty_url: str) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", START, empty_url], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        for _ in range(6)
    ]

    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    errors = [starter.communicate(timeout=60)[1] for starter in starters]

    assert errors == [""] * 6
    assert [starter.returncode for starter in starters] == [0] * 6
    database = Database(empty_url)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    database.close()
