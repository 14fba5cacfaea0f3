"""Notes of copies at a platform that turn up, or turn up again, after their recording is gone."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, update

from storage.catalogue import source_deletions
from storage.catalogue.source_deletions import SourceDeletion

FIXED = frozenset(["recording_ref", "recording_id"])


def note(connection: Connection, deletion: SourceDeletion) -> None:
    """Note a copy to be deleted; one whose deletion was done or given up is to be deleted once more."""
    if source_deletions.add(connection, deletion):
        return
    table = source_deletions.source_deletions
    again = {name: value for name, value in asdict(deletion).items() if name not in FIXED}
    finished = (table.c.recording_ref == deletion.recording_ref, table.c.state != "new")
    connection.execute(update(table).where(*finished).values(**again))
