"""The registry of consent scripts: what is played or said, in which words, for which purposes, what retention is told.

A consent names `name@version`; the version it names never changes and stays for years, so that the consent can be
understood. Texts carry the places {brand}, {site}, {days} and {agent}.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from recorder.actors import SYSTEM, Actor
from recorder.errors import ConflictError, InvalidInputError, NotFoundError
from recorder.scripts.texts import BUILT_IN
from storage import audit
from storage.catalogue import scripts as catalogue
from storage.catalogue.scripts import ScriptVersion

PURPOSES = ("quality", "training", "documentation")
LANGUAGES = ("da", "en")
PLACES = frozenset(["brand", "site", "days", "agent"])
MAX_RETENTION_DAYS = 90
MAX_TEXT = 2000
# A prompt: part A, part B, the answers, and where to read more. A script for agents: question, and what follows.
KEYS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(["inform", "choose", "granted", "refused"]), frozenset(["more"])),
    (frozenset(["ask", "confirm", "refused", "withdrawn"]), frozenset()),
)
NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,63}")
REFERENCE = re.compile(r"([a-z0-9-]{1,128})@([1-9][0-9]{0,8})")
PLACE = re.compile(r"\{([^{}]*)\}")
BUILT_IN_SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # the texts that come along were approved when they were written


@dataclass(frozen=True)
class Script:
    """One version of a script."""

    name: str
    version: int
    language: str
    texts: Mapping[str, str]
    purposes: tuple[str, ...]
    retention_days: int
    sha256: str
    added_at: datetime
    approved_at: datetime | None
    approved_by: str | None

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def is_prompt(self) -> bool:
        """Whether a machine can play it; otherwise an agent says it."""
        return "choose" in self.texts

    def say(self, key: str, *, brand: str, site: str = "", agent: str = "") -> str:
        """One text with its places filled; empty where the script has none under this key."""
        values = {"brand": brand, "site": site, "agent": agent, "days": str(self.retention_days)}
        return PLACE.sub(lambda place: values[place[1]], self.texts.get(key, ""))


def install(connection: Connection, now: datetime) -> None:
    """Put the scripts that come along into the registry, approved; those already there stay."""
    versions = [
        _version({"name": name, **script}, 1, now, approved_at=BUILT_IN_SINCE, approved_by=SYSTEM.id)
        for name, script in BUILT_IN.items()
    ]
    if added := catalogue.insert(connection, versions):
        audit.append_many(
            connection,
            [
                _entry("script.added", version, SYSTEM)
                for version in versions
                if (version.name, version.version) in added
            ],
            now=now,
        )


def add_toml(connection: Connection, text: str, now: datetime, *, actor: Actor) -> Script:
    """Add a version from TOML: name, language, purposes, retention_days, [texts]. Not played before it is approved.

    Raises `InvalidInputError` naming every fault.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError(f"not TOML: {exc}") from exc
    if faults := _faults(document):
        raise InvalidInputError("bad script: " + "; ".join(faults))
    version = _version(document, catalogue.latest_version(connection, document["name"]) + 1, now)
    if not catalogue.insert(connection, [version]):
        raise ConflictError("this version was added by somebody else just now; add it again")
    audit.append_many(connection, [_entry("script.added", version, actor)], now=now)
    return _script(version)


def approve(connection: Connection, script_id: str, by: str, now: datetime, *, actor: Actor) -> Script:
    """Approve a version: from now on it is the one that is played. Raises `NotFoundError`, `ConflictError`.

    `by` is a name, kept with the version; the audit log has the actor.
    """
    script = find(connection, script_id)
    if script is None:
        raise NotFoundError("there is no such script")
    if not catalogue.approve(connection, script.name, script.version, by, now):
        raise ConflictError("this version is approved already")
    audit.append_many(connection, [_entry("script.approved", script, actor)], now=now)
    return script


def approved(connection: Connection, name: str, now: datetime) -> Script | None:
    """The version to play now."""
    version = catalogue.approved(connection, name, now)
    return None if version is None else _script(version)


def find(connection: Connection, script_id: str) -> Script | None:
    """The version a consent names, approved or not."""
    match = REFERENCE.fullmatch(script_id)
    version = catalogue.get(connection, match[1], int(match[2])) if match else None
    return None if version is None else _script(version)


def list_scripts(connection: Connection) -> list[Script]:
    return [_script(version) for version in catalogue.everything(connection)]


def _script(version: ScriptVersion) -> Script:
    fields = vars(version) | {"purposes": tuple(version.purposes)}
    return Script(**fields)


def _version(document: Mapping[str, Any], number: int, now: datetime, **approval: Any) -> ScriptVersion:
    said = {name: document[name] for name in ("name", "language", "texts", "purposes", "retention_days")}
    digest = json.dumps(said | {"version": number}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    sha256 = hashlib.sha256(digest.encode()).hexdigest()
    return ScriptVersion(**said, version=number, sha256=sha256, added_at=now, **approval)


def _entry(what: str, script: Script | ScriptVersion, actor: Actor) -> audit.Entry:
    return audit.Entry(what, actor.id, f"{script.name}@{script.version}", {"sha256": script.sha256})


def _faults(document: Mapping[str, Any]) -> list[str]:
    known = {"name", "language", "purposes", "retention_days", "texts"}
    faults = [f"unknown {name}" for name in sorted(document.keys() - known)]
    name, purposes, days = (document.get(key) for key in ("name", "purposes", "retention_days"))
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults.append("name must be of small letters, digits and hyphens")
    if document.get("language") not in LANGUAGES:
        faults.append(f"language must be one of {', '.join(LANGUAGES)}")
    if not isinstance(purposes, list) or not purposes or not all(purpose in PURPOSES for purpose in purposes):
        faults.append(f"purposes must be of {', '.join(PURPOSES)}")
    if type(days) is not int or not 1 <= days <= MAX_RETENTION_DAYS:
        faults.append(f"retention_days must be from 1 to {MAX_RETENTION_DAYS}")
    return faults + _text_faults(document.get("texts"))


def _text_faults(texts: object) -> list[str]:
    if not isinstance(texts, dict) or not any(must <= texts.keys() <= must | may for must, may in KEYS):
        sets = " or ".join(", ".join(sorted(must | may)) for must, may in KEYS)
        return [f"texts must be {sets}"]
    faults = []
    for key, text in texts.items():
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            faults.append(f"texts.{key} must be text of at most {MAX_TEXT} characters")
        elif unknown := set(PLACE.findall(text)) - PLACES:
            faults.append(f"texts.{key} has an unknown place {{{min(unknown)}}}")
    return faults
