"""Settings as they are found: a TOML file, files, the environment; and as they are described."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from recorder.errors import ConfigurationError
from recorder.settings.house import Settings
from recorder.settings.sections import Section, Subscriber

PREFIX = "RECORDER_"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Settings from TOML, files and environment.

    Raises `ConfigurationError` naming every unknown and every bad setting at once; values are never repeated.
    """
    env = dict(os.environ if environ is None else environ)
    faults: list[str] = []
    tree = _toml(env.get(PREFIX + "CONFIG"), faults)
    for name, value in sorted(env.items()):
        if name.startswith(PREFIX) and name != PREFIX + "CONFIG":
            _place(tree, name, value, faults)
    settings = _validated(tree, faults)
    if settings is None or faults:
        raise ConfigurationError("bad settings: " + "; ".join(faults))
    return settings


def _validated(tree: dict[str, Any], faults: list[str]) -> Settings | None:
    """The settings a tree spells, its faults noted.

    A setting that is wrong by itself hides faults of several together: it is noted, taken out, and the rest checked.
    """
    while True:
        try:
            return Settings.model_validate(tree)
        except ValidationError as exc:
            found = exc.errors(include_input=False, include_url=False)
        faults += [f"{_variable(error['loc'])}{error['msg'].removeprefix('Value error, ')}" for error in found]
        wrong = [place for error in found if (place := _holding(tree, error["loc"])) is not None]
        if not wrong:
            return None
        for parts, name in wrong:
            parts.pop(name, None)


def _holding(tree: dict[str, Any], location: tuple[str | int, ...]) -> tuple[dict[str, Any], str] | None:
    """Where in the tree a fault lies: what is missing lies in what it is missing from."""
    found: tuple[dict[str, Any], str] | None = None
    node: Any = tree
    for part in location:
        if not isinstance(node, dict) or not isinstance(part, str) or part not in node:
            break
        found, node = (node, part), node[part]
    return found


def _toml(path: str | None, faults: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        faults.append(f"{PREFIX}CONFIG: {type(exc).__name__}")
        return {}


def _place(tree: dict[str, Any], name: str, value: str, faults: list[str]) -> None:
    if name.endswith("_FILE"):
        try:
            name, value = name.removesuffix("_FILE"), Path(value).read_text("utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as exc:
            faults.append(f"{name}: {type(exc).__name__}")
            return
    *parents, leaf = name.removeprefix(PREFIX).lower().split("__")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            faults.append(f"{name}: {parent} is a value already and has no parts")
            return
    node[leaf] = value


def _variable(location: tuple[str | int, ...]) -> str:
    """`RECORDER_…: `, without the `name[…]` that says which of several types was tried. Empty for all together."""
    parts = [part.upper() for part in location if isinstance(part, str) and "[" not in part]
    return f"{PREFIX}{'__'.join(parts)}: " if parts else ""


def described(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Every setting as (variable, default, meaning), in the order of the model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from described(field.annotation, (*path, name))
            continue
        if field.annotation is not None and Subscriber in get_args(field.annotation):
            yield from described(Subscriber, (*path, name, "<name>"))
            continue
        default = "" if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        shown = "" if default in ("", (), None, {}) else str(default)
        variable = PREFIX + "__".join((*path, name)).upper()
        yield (
            variable,
            shown if not isinstance(default, tuple) else ",".join(map(str, default)),
            field.description or "",
        )
