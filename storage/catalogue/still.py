"""Updates of rows that still are as expected. Each statement is built once: building it costs more than running it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Column, Table, Update, bindparam


def narrowed(statement: Update, table: Table, when: Mapping[str, object]) -> tuple[Update, dict[str, object]]:
    """The update for rows whose columns still hold these values (a tuple: one of them), and its parameters.

    Built statements are cached by `statement`, so that must be one of the few that a module keeps.
    """
    shape = tuple((name, None if value is None else isinstance(value, tuple)) for name, value in when.items())
    return _narrowed(statement, table, shape), {f"still_{name}": v for name, v in when.items() if v is not None}


@cache
def _narrowed(statement: Update, table: Table, shape: tuple[tuple[str, bool | None], ...]) -> Update:
    for name, several in shape:
        column: Column[Any] = table.c[name]
        value: BindParameter[Any] = bindparam(f"still_{name}", expanding=bool(several))
        if several is None:
            statement = statement.where(column.is_(None))
        else:
            statement = statement.where(column.in_(value) if several else column == value)
    return statement
