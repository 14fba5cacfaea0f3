"""Statistics for SQLite to plan by, and an index of held recordings.

SQLite gathers no statistics by itself, and without any it assumes that at most ten rows share a value. With a million
stored recordings, it would go through all of them rather than look one up by its id. So it is told once what a house of
a million looks like, as https://sqlite.org/lang_analyze.html describes ("Fixed Results of ANALYZE"): that gives the
same plans everywhere, from the first row on. PostgreSQL gathers its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest = "0001"

MILLION = 1_000_000
HOUSE = {  # index → its table, the rows in it, and how many of them agree in its first column, its first two, …
    "ix_recordings_work": ("recordings", MILLION, 200_000, 1000),
    "ix_recordings_listing": ("recordings", MILLION, 200_000, 2, 1),
    "ix_recordings_due": ("recordings", MILLION, MILLION, MILLION, 2, 1),
    "ix_recordings_held": ("recordings", 1000, 2),
    "ix_recordings_day": ("recordings", MILLION, 10_000, 5000),
    "ix_recordings_by_segment": ("recordings", MILLION, 200_000, 2, 1),
    "ix_recordings_by_queue": ("recordings", MILLION, 50_000, 2, 1),
    "ix_recordings_key_id": ("recordings", MILLION, 10_000),
    "ix_calls_key_id": ("calls", MILLION, 10_000),
    "ix_source_deletions_key_id": ("source_deletions", MILLION, 10_000),
    "ix_holds_recording_id": ("holds", 1000, 1),
}


def upgrade() -> None:
    held = sa.text("state = 'stored' AND holds > 0")
    op.create_index("ix_recordings_held", "recordings", ["expires_at"], sqlite_where=held, postgresql_where=held)
    if op.get_context().dialect.name == "sqlite":
        op.execute("ANALYZE sqlite_schema")  # looks at no row, but makes the table sqlite_stat1
        for index, (table, *figures) in HOUSE.items():
            told = {"table": table, "index": index, "stat": " ".join(map(str, figures))}
            op.execute(sa.text("INSERT INTO sqlite_stat1 VALUES (:table, :index, :stat)").bindparams(**told))
        op.execute("ANALYZE sqlite_schema")  # makes SQLite read them
