"""Insert what is not there yet, on either database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite


def inserting(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that understands ON CONFLICT in the connection's dialect."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return insert(table)


def insert_new(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    conflict: list[str],
    where: ColumnElement[bool] | None = None,
    returning: Sequence[Column[Any]] | None = None,
) -> list[Row[Any]]:
    """Insert `rows`, leaving those alone that clash on the unique columns `conflict`; return the rows inserted.

    Rows may clash with each other too: the first wins. `where` names the condition of a partial unique index;
    `returning` the columns to return, by default those of the conflict.
    """
    if not rows:
        return []
    columns = list(returning or (table.c[name] for name in conflict))
    statement = (
        inserting(connection, table)
        .on_conflict_do_nothing(index_elements=conflict, index_where=where)
        .returning(*columns)
    )
    return list(connection.execute(statement, list(rows)))
