"""Insert what is not there yet, on either database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert


def inserting(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that understands ON CONFLICT in this dialect."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)


def insert_new(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    conflict: list[str],
    where: ColumnElement[bool] | None = None,
    returning: Sequence[Column[Any]] | None = None,
) -> list[Row[Any]]:
    """Insert `rows`, skipping those that clash on the unique columns `conflict`; return the rows inserted.

    Rows may clash with each other too: the first wins. `where` names the condition of a partial unique index;
    `returning` the columns to return, by default those of the conflict.
    """
    if not rows:
        return []
    if where is None and returning is None:
        statement = _statement(connection.dialect.name, table, tuple(conflict))
    else:
        columns = list(returning or (table.c[name] for name in conflict))
        statement = _leaving(connection.dialect.name, table, conflict, where).returning(*columns)
    # One row is passed bare: SQLAlchemy would take a list of one apart and put it together again, as it does a batch.
    return list(connection.execute(statement, rows[0] if len(rows) == 1 else list(rows)))


@cache
def _statement(dialect: str, table: Table, conflict: tuple[str, ...]) -> ReturningInsert[Any]:
    """The usual statement, made once: making it costs more than running it."""
    return _leaving(dialect, table, conflict, None).returning(*(table.c[name] for name in conflict))


def _leaving(
    dialect: str, table: Table, conflict: Sequence[str], where: ColumnElement[bool] | None
) -> sqlite.Insert | postgresql.Insert:
    return inserting(dialect, table).on_conflict_do_nothing(index_elements=conflict, index_where=where)
