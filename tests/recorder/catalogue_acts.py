"""Calls every function of the catalogue with arguments made up from their types, and tells what was not run."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from datetime import date, datetime
from functools import partial
from inspect import Parameter, getmembers, isfunction, signature
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Connection, Engine, event

from storage import catalogue
from storage.database import Database

READING_ALL = frozenset({"slow", "by_state"})  # figures that are known to
GIVEN = Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY
STORAGE = Path(catalogue.__path__[0]).parent
RUNNING_STATEMENTS = (*STORAGE.glob("catalogue/*.py"), STORAGE / "inbox.py")
Line = tuple[str, int]


def do_all(database: Database, now: datetime) -> None:
    """Call each of them twice: with every argument it takes, and with as few as it can do with.

    Much of this makes no sense and is refused. That does not matter: `unheard` tells what did not run.
    """
    for act in _acts(now):
        with suppress(Exception), database.write() as connection:
            act(connection)


@contextmanager
def unheard() -> Iterator[set[Line]]:
    """After the block: file and line of every place in the catalogue that runs statements but ran none in the block."""
    missed: set[Line] = set()
    heard: set[Line] = set()

    def hear(*_: object) -> None:
        frame = sys._getframe()
        while frame is not None:
            heard.add((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment]

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield missed
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    for path in RUNNING_STATEMENTS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                if not any((str(path), line) in heard for line in lines):
                    missed.add((path.name, node.lineno))


def _acts(now: datetime) -> Iterator[Callable[[Connection], object]]:
    for name in (one.name for one in pkgutil.iter_modules(catalogue.__path__, f"{catalogue.__name__}.")):
        for called, function in getmembers(importlib.import_module(name), isfunction):
            wanted = list(signature(function).parameters.values())
            public = function.__module__ == name and not called.startswith("_") and wanted[0].name == "connection"
            if not public or called in READING_ALL:
                continue
            act = partial(function, **({"state": "x"} if wanted[-1].kind is Parameter.VAR_KEYWORD else {}))
            hints = {one.name: get_type_hints(function)[one.name] for one in wanted[1:] if one.kind in GIVEN}
            needed = {one.name for one in wanted if one.default is Parameter.empty}
            yield partial(act, **{one: _made_up(hint, now) for one, hint in hints.items()})
            yield partial(act, **{one: _least(hint, now) for one, hint in hints.items() if one in needed})


def _least(kind: Any, now: datetime) -> Any:
    return None if NoneType in get_args(kind) else _made_up(kind, now)


def _made_up(kind: Any, now: datetime) -> Any:
    plain: dict[Any, Any] = {str: "x", bytes: b"x", int: 1, float: 1.0, bool: True, datetime: now, date: now.date()}
    parts, whole = get_args(kind), get_origin(kind)
    if kind in plain:
        return plain[kind]
    if is_dataclass(kind):
        return kind(**{name: _made_up(hint, now) for name, hint in get_type_hints(kind).items()})  # type: ignore[operator]
    if whole in (Literal, Union, UnionType):
        return parts[0] if whole is Literal else _made_up(parts[0], now)
    if whole is tuple:
        return tuple(_made_up(part, now) for part in parts if part is not ...)
    if whole in (dict, Mapping):
        return {_made_up(parts[0], now): _made_up(parts[1], now)}
    return [_made_up(parts[0], now)] if parts else "x"
