"""Alembic's way in: runs the steps on the connection, and in the transaction, that `migrate` opened."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator

from storage.tables import metadata


def render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Steps are history: they name plain column types, never classes of ours that may change."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{type(item.impl_instance).__name__}()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render,
    transactional_ddl=True,
)
context.run_migrations()
