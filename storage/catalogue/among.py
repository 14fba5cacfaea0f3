"""`column IN (ids)` with the ids in one parameter: writing out a thousand of them takes longer than looking them up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, String, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Each(FunctionElement[str]):
    """The texts of a JSON array, as rows."""

    inherit_cache = True
    name = "each"
    type = String()


def among(column: ColumnElement[Any], ids: Iterable[str]) -> ColumnElement[bool]:
    """Whether a column of ids holds one of these."""
    each = _Each(literal(json.dumps(list(ids)), String)).table_valued("value")
    return column.in_(select(each.c.value))


@compiles(_Each, "sqlite")
def _sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Each, "postgresql")
def _postgresql(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"
