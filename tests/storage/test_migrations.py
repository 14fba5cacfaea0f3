import ast
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from storage.database import Database
from storage.errors import ConfigurationError, StorageError
from storage.migrations import config, migrate
from storage.tables import metadata
from tests.storage.processes import at_once


def test_migrating_makes_what_the_tables_say(empty_url: str) -> None:
    database = Database(empty_url)

    migrate(database)

    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert differences == [], 'storage/tables has moved on: run `python -m storage.migrations "what changes"`'


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(text("INSERT INTO forecast (day, due) VALUES ('20260101', 3)"))

    migrate(database)

    with database.read() as connection:
        assert connection.execute(text("SELECT due FROM forecast")).scalar_one() == 3
    database.close()


def test_a_database_of_a_newer_version_is_refused_unless_it_only_adds(empty_url: str) -> None:
    database = Database(empty_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    migrate(database)  # the newest step says that this code can work on it

    with database.write() as connection:
        connection.execute(text("UPDATE compatibility SET oldest = '9998'"))
    with pytest.raises(ConfigurationError, match="newer version"):
        migrate(database)
    database.close()


def narrowed(step: str) -> list[str]:
    """What a step does besides adding: tables, indexes, columns that may stay empty. Code of before may trip over it.

    Knows nothing of what a statement written out in SQL does, and so counts it, but for figures that plans are made by.
    """
    calls = [one for one in ast.walk(ast.parse(step)) if isinstance(one, ast.Call)]
    new = {ast.unparse(one.args[0]) for one in calls if ast.unparse(one.func) == "op.create_table"}
    return [one.func.attr for one in calls if _is_of_op(one) and not _adds(one, new)]  # type: ignore[attr-defined]


def _is_of_op(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "op"


def _adds(call: ast.Call, new_tables: set[str]) -> bool:
    name, said = ast.unparse(call.func), ast.unparse(call)
    if name == "op.create_index":
        return "unique=True" not in said or ast.unparse(call.args[1]) in new_tables
    if name == "op.execute":
        return said.startswith(("op.execute('ANALYZE ", "op.execute(sa.text('INSERT INTO sqlite_stat1 "))
    return name in {"op.create_table", "op.f", "op.get_context"} or (
        name == "op.add_column" and "nullable=True" in said
    )


STEPS = sorted(ScriptDirectory.from_config(config()).walk_revisions(), key=lambda step: step.revision)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.revision)
def test_p6_a_step_leaves_to_the_release_before_what_it_uses(step: Script) -> None:
    """docs/adr/0018: a step that takes something away names the release before as the oldest that may run beside it."""
    before = [one for one in STEPS if one.revision < step.revision]
    oldest = step.module.oldest
    if narrowed(Path(step.path).read_text("utf-8")):
        assert before[-1].module.oldest < oldest < step.revision
    else:
        assert oldest == (before[-1].module.oldest if before else step.revision)


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("op.create_table('t', sa.Column('a', sa.String(), nullable=False))", []),
        ("op.create_index(op.f('ix_t_a'), 't', ['a'])\nop.add_column('t', sa.Column('b', nullable=True))", []),
        ("op.add_column('t', sa.Column('b', sa.String(), nullable=False))", ["add_column"]),
        ("op.drop_column('t', 'b')", ["drop_column"]),
        ("op.alter_column('t', 'b', new_column_name='c')", ["alter_column"]),
        ("op.rename_table('t', 'u')\nop.drop_index('ix')", ["rename_table", "drop_index"]),
        (
            "op.create_unique_constraint('uq', 't', ['a'])\nop.execute('DELETE')",
            ["create_unique_constraint", "execute"],
        ),
        ("with op.batch_alter_table('t') as t:\n    t.drop_column('b')", ["batch_alter_table"]),
    ],
)
def test_what_takes_something_away_is_seen(step: str, found: list[str]) -> None:
    assert narrowed(step) == found


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
    at_once(START, [(empty_url,)] * 6)

    database = Database(empty_url)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    database.close()


def test_sqlite_plans_by_figures_of_indexes_there_are(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'planned.sqlite'}")
    migrate(database)
    with database.read() as connection:
        told = set(connection.exec_driver_sql("SELECT tbl, idx FROM sqlite_stat1").all())
        there = connection.exec_driver_sql("SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index'").all()
        assert told
        assert told <= set(there)
        of_recordings = {index.name for index in metadata.tables["recordings"].indexes}
    assert of_recordings - {name for _, name in told} == {
        "ix_recordings_call_id",
        "ix_recordings_by_start",
    }  # few share
    database.close()
