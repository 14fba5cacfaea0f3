"""Drafts the next migration from the difference between `storage/tables` and the steps so far."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from storage.database import Database
from storage.migrations import config, next_number, oldest

FIRST = "0001"


def draft(message: str) -> None:
    """Write the next step; a person reads it before it is committed."""
    settings = config()
    number = next_number(settings)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.sqlite'}")
        with database.write() as connection:
            settings.attributes["connection"] = connection
            settings.attributes["oldest"] = number if number == FIRST else oldest(settings)
            command.upgrade(settings, "head")
            command.revision(settings, message, autogenerate=True, rev_id=number)
        database.close()


if __name__ == "__main__":
    draft(" ".join(sys.argv[1:]) or "tables")
