"""Documents that are made from the program: `python -m tests.documents` writes them, a test compares them."""

from __future__ import annotations

import re
from pathlib import Path

import recorder.errors
import storage.errors
from api.problems import STATUS
from recorder.checkup import KINDS
from recorder.settings import described
from storage.errors import RecorderError

ROOT = Path(__file__).parent.parent

SETTINGS_HEAD = """\
# Settings

Made from the program by `python -m tests.documents`. Order, last wins: defaults, the TOML file named by
`RECORDER_CONFIG` (sections as tables), files named by `…_FILE` (any setting may be given that way; meant for secrets),
environment. Lists are comma-separated or JSON, tables JSON. Unknown or bad settings stop the start, all named at once.

Every outside party has a declared country; undeclared or outside the EU/EEA is no start. What stays on this machine
(loopback, files) is exempt; Twilio's country follows from its region.

| variable | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    rows = (
        f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |"
        for variable, default, meaning in described()
    )
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


ERRORS_HEAD = """\
# Error codes

Made from the program by `python -m tests.documents`. Errors are `application/problem+json` (RFC 9457) with a
`code` that never changes its meaning; people get a page in their language. Match the code, never the words. New
codes may be added.

| code | status | try again | meaning |
|---|---|---|---|
"""


def error_classes() -> dict[str, type[RecorderError]]:
    """Every error raised on purpose, by its code; the one that names a code first explains it."""
    found: dict[str, type[RecorderError]] = {}
    for module in (storage.errors, recorder.errors):
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, RecorderError):
                found.setdefault(one.code, one)
    return found


def errors_page() -> str:
    classes = error_classes()
    rows = []
    for code, status in sorted(STATUS.items()):
        known = classes.get(code)
        meaning = (known.__doc__ or "").strip().splitlines()[0] if known else "From the HTTP layer itself."
        rows.append(f"| `{code}` | {status} | {'yes' if known and known.retryable else ''} | {meaning} |")
    return ERRORS_HEAD + "\n".join(rows) + "\n"


PLACE = re.compile(r"\{\w+\}")
DOCTOR_HEAD = """\
# What `recorder doctor` finds

Made from the program by `python -m tests.documents`. A code never changes its meaning; new ones may be added. A fault
makes the command exit 1. Where a promise is named, `recorder serve` does not start.

| code | level | part | what is found | what to do | promise |
|---|---|---|---|---|---|
"""


def doctor_page() -> str:
    rows = (
        f"| `{code}` | {kind.level} | {PLACE.sub('any', kind.part)} | {PLACE.sub('…', kind.text)} | {kind.advice} |"
        f" {kind.blocks} |"
        for code, kind in KINDS.items()
    )
    return DOCTOR_HEAD + "\n".join(rows) + "\n"


ENVIRONMENT_HEAD = """\
# Made from the program by `python -m tests.documents`. Copy to .env for docker, or to /etc/recorder/recorder.env for
# systemd, and uncomment what differs. The program itself reads no such file, only one of TOML: see docs/settings.md.
# Secrets are better given as files: append _FILE to any name and give the file's path.
"""
EXAMPLE_NAMES = {"<NAME>": "CRM"}  # what a variable's name has for a word of the operator's own


def environment_page() -> str:
    lines, section = [ENVIRONMENT_HEAD], ""
    for variable, default, meaning in described():
        head = variable.removeprefix("RECORDER_").partition("__")[0]
        if head != section:
            lines.append("")
            section = head
        for word, example in EXAMPLE_NAMES.items():
            variable = variable.replace(word, example)  # noqa: PLW2901 -- the same variable, as it may be written
        lines += [f"# {meaning}", f"#{variable}={default}"]
    return "\n".join(lines) + "\n"


PAGES = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "doctor.md": doctor_page,
    "../.env.example": environment_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), "utf-8")
