"""Brings a database to the schema of this version; `storage/tables.py` says what that is.

`python -m storage.migrations "what changes"` drafts the next step from the difference between the two.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.database import Database
from storage.errors import ConfigurationError

LOCK = 0x7265_636F_7264_6572  # "recorder": PostgreSQL's advisory lock for whoever migrates


def migrate(database: Database) -> None:
    """Bring the schema to this version in one transaction; nothing where it is there already.

    May be called by several processes at once: one works, the others wait and find it done. Raises
    `ConfigurationError` where the database was made by a newer version.
    """
    settings = config()
    with database.read() as connection:
        if _at_head(connection, settings):
            return
    with database.write() as connection:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if not _at_head(connection, settings):
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")


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


def _at_head(connection: Connection, settings: Config) -> bool:
    script = ScriptDirectory.from_config(settings)
    known = {revision.revision for revision in script.walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    if not known.issuperset(found):
        raise ConfigurationError("the database was made by a newer version of the recorder")
    return set(found) == set(script.get_heads())
