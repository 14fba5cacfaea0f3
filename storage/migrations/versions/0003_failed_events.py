"""An index of the events that could not be applied: every start looks for them, in a table of all events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
oldest = "0001"


def upgrade() -> None:
    failed = sa.text("state = 'failed'")
    op.create_index("ix_inbox_failed", "inbox", ["received_at"], sqlite_where=failed, postgresql_where=failed)
