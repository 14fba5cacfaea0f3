"""Brings a database to the schema of this version; `storage/tables` says what that is.

`python -m storage.migrations "what changes"` drafts the next step from the difference between the two.

Replicas are upgraded in turn, so code of the previous release runs, and may be started, on the schema of this one.
A step therefore only adds; it may take away only what the previous release's code no longer uses. Each step names the
`oldest` code (by the last step it knows) that can work on the schema as the step leaves it (docs/adr/0018).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert, select, text

from storage.database import Database
from storage.errors import ConfigurationError
from storage.tables import CompatibilityRow

compatibility = CompatibilityRow.__table__

LOCK = 0x7265_636F_7264_6572  # "recorder": PostgreSQL's advisory lock for whoever migrates
PATIENCE_SECONDS = 10  # for a table that is in use: others who want it meanwhile wait behind the migration


def migrate(database: Database, settings: Config | None = None) -> None:
    """Bring the schema to this version in one transaction; do nothing where it is there already, or further.

    May be called by several processes at once: one works, the others wait and find it done. Raises
    `ConfigurationError` where a newer version has changed the database so that this one cannot work on it.
    `settings` may name another set of steps.
    """
    settings = settings or config()
    with database.read() as connection:
        if _is_ready(connection, settings):
            return
    with database.write() as connection:
        if not database.sqlite:
            _wait_for_turn(connection)
        if not _is_ready(connection, settings):
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.execute(delete(compatibility))
            connection.execute(insert(compatibility).values(id=1, oldest=oldest(settings)))


def revision(database: Database) -> str:
    """The step the schema is at."""
    with database.read() as connection:
        return ", ".join(MigrationContext.configure(connection).get_current_heads())


def config() -> Config:
    """Alembic's settings; the steps lie beside this file, installed or not."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def next_number(settings: Config) -> str:
    """Steps are numbered in the order they were made: 0001, 0002, …"""
    return f"{len(list(ScriptDirectory.from_config(settings).walk_revisions())) + 1:04}"


def oldest(settings: Config) -> str:
    """The oldest code that can work on the schema of the last step."""
    return str(ScriptDirectory.from_config(settings).get_revision("head").module.oldest)


def _is_ready(connection: Connection, settings: Config) -> bool:
    script = ScriptDirectory.from_config(settings)
    known = {revision.revision for revision in script.walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    if known.issuperset(found):
        return set(found) == set(script.get_heads())
    if connection.execute(select(compatibility.c.oldest)).scalar_one_or_none() in known:
        return True
    raise ConfigurationError("the database was made by a newer version of the recorder")


def _wait_for_turn(connection: Connection) -> None:
    """Wait until no other process migrates. Ours may take its time, but not keep others waiting for a table."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'")
