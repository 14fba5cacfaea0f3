"""Indexes of requests that are open or sealed and of standing holds, and of messages and codes by age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
oldest = "0001"


def upgrade() -> None:
    _partial("ix_requests_open", "requests", "due_at", "closed_at IS NULL")
    _partial("ix_requests_sealed", "requests", "key_id", "key_id IS NOT NULL")
    _partial("ix_holds_standing", "holds", "review_at", "released_at IS NULL")
    op.create_index("ix_outbox_created_at", "outbox", ["created_at"])
    op.create_index("ix_codes_created_at", "codes", ["created_at"])


def _partial(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
