"""Calls whose platform is asked for recordings that it did not tell us of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
oldest = "0001"


def upgrade() -> None:
    op.create_table(
        "inquiries",
        sa.Column("call_ref", sa.LargeBinary(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("call_ref", name=op.f("pk_inquiries")),
    )
    op.create_index(op.f("ix_inquiries_next_try_at"), "inquiries", ["next_try_at"])
