"""What happens on each of our numbers: the line table, `lines.toml`."""

from __future__ import annotations

import threading
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection

from recorder import scripts
from recorder.errors import ConfigurationError
from recorder.phones import E164
from recorder.segments import CALL_KINDS, CUSTOMER_TYPES
from recorder.settings import is_loopback

CONSENT_WAYS = ("ask", "asked_elsewhere", "never")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Line:
    """One of our numbers. Exactly one of `dial` and `redirect` is set: where the caller goes next."""

    number: str
    brand: str
    customer_type: str | None = None
    call_kind: str = "service"
    language: str = "da"
    script: str = ""
    consent: Literal["ask", "asked_elsewhere", "never"] = "ask"
    dial: str | None = None
    redirect: str | None = None
    canary_minutes: int | None = None  # a test call this often


class Lines:
    """The line table. A changed file is taken over at the next look-up; a broken one leaves the last good table."""

    def __init__(self, path: Path) -> None:
        """Raises `ConfigurationError` naming every fault; no file is an empty table."""
        self._path = path
        self._lock = threading.Lock()
        self._version = _version(path)
        self._table, faults = _load(path)
        if faults:
            raise ConfigurationError("bad line table: " + "; ".join(faults))

    def find(self, number: str | None) -> Line | None:
        """The line of one of our numbers (E.164)."""
        version = _version(self._path)
        if version != self._version:
            self._reload(version)
        return self._table.get(number or "")

    def all(self) -> list[Line]:
        self.find(None)
        return list(self._table.values())

    def check(self, connection: Connection, now: datetime) -> list[str]:
        """Every fault of the file as it is now, scripts that could not be played included; empty when it is good."""
        table, faults = _load(self._path)
        return faults + [fault for line in table.values() for fault in _script_faults(connection, line, now)]

    def _reload(self, version: tuple[int, int]) -> None:
        with self._lock:
            table, faults = _load(self._path)
            self._version = version
            if faults:
                log.error("lines.kept_last_good", faults=faults)
            else:
                self._table = table


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # `_load` reports a file that is there but cannot be read
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _load(path: Path) -> tuple[dict[str, Line], list[str]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as exc:
        return {}, [f"{path.name}: {exc}"]
    faults = [f"unknown table {name}" for name in document if name != "line"]
    entries = document.get("line", [])
    if not isinstance(entries, list):
        return {}, [*faults, "line must be written [[line]]"]
    table: dict[str, Line] = {}
    for index, entry in enumerate(entries, start=1):
        wrong = _faults(entry)
        if not wrong and entry["number"] in table:
            wrong = ["number stands twice"]
        faults += [f"line {index}: {fault}" for fault in wrong]
        if not wrong:
            table[entry["number"]] = _line(entry)
    faults += [f"{line.number}: then.dial leads back to it" for line in table.values() if _leads_back(line, table)]
    return table, faults


def _leads_back(line: Line, table: dict[str, Line]) -> bool:
    """Whether a call would go round for ever."""
    passed: set[str] = set()
    after = table.get(line.dial or "")
    while after is not None and after.number not in passed:
        passed.add(after.number)
        after = table.get(after.dial or "")
    return line.number in passed


def _line(entry: dict[str, Any]) -> Line:
    then = entry["then"]
    rest = {name: value for name, value in entry.items() if name != "then"}
    return Line(**rest, dial=then.get("dial"), redirect=then.get("redirect"))


def _script_faults(connection: Connection, line: Line, now: datetime) -> list[str]:
    if line.consent != "ask":
        return []
    script = scripts.approved(connection, line.script, now)
    if script is None:
        return [f"{line.number}: no approved version of {line.script}; the question will not be asked"]
    if not script.is_prompt:
        return [f"{line.number}: {script.id} is for agents and cannot be played"]
    return [] if script.language == line.language else [f"{line.number}: {script.id} is not in {line.language}"]


CHOICES = {
    "customer_type": CUSTOMER_TYPES,
    "call_kind": CALL_KINDS,
    "language": scripts.LANGUAGES,
    "consent": CONSENT_WAYS,
}
NAMES = frozenset(["number", "brand", "script", "then", "canary_minutes", *CHOICES])
CANARY_MINUTES = range(5, 10_081)  # up to a week


def _faults(entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return ["is not a table"]
    faults = [f"unknown {name}" for name in sorted(entry.keys() - NAMES)]
    if not _is_number(entry.get("number")):
        faults.append("number must be E.164, as in +4570123456")
    faults += [
        f"{name} must be one of {', '.join(choices)}"
        for name, choices in CHOICES.items()
        if name in entry and entry[name] not in choices
    ]
    faults += [f"{name} must be text" for name in ("brand", "script") if not isinstance(entry.get(name, ""), str)]
    if "canary_minutes" in entry and entry["canary_minutes"] not in CANARY_MINUTES:
        faults.append(f"canary_minutes must be {CANARY_MINUTES[0]} to {CANARY_MINUTES[-1]}")
    if not entry.get("brand"):
        faults.append("brand is missing")
    if entry.get("consent", "ask") == "ask" and not entry.get("script"):
        faults.append('script is missing; consent = "ask" plays one')
    return faults + _then_faults(entry.get("then"))


def _then_faults(then: object) -> list[str]:
    if not isinstance(then, dict) or len(then) != 1 or not then.keys() <= {"dial", "redirect"}:
        return ["exactly one of then.dial and then.redirect must say where the caller goes"]
    if "dial" in then:
        return [] if _is_number(then["dial"]) else ["then.dial must be E.164"]
    return [] if _is_safe_url(then["redirect"]) else ["then.redirect must be an https URL"]


def _is_number(value: object) -> bool:
    return isinstance(value, str) and E164.fullmatch(value) is not None


def _is_safe_url(value: object) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return parts is not None and bool(parts.hostname) and (parts.scheme == "https" or is_loopback(parts.geturl()))
    except ValueError:
        return False
