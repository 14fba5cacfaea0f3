"""The `recorder` command. Results go to stdout, everything else to stderr; no secret is ever an argument."""

from __future__ import annotations

import io
import sys

import typer

from api import logs
from api.cli import inside, service
from api.cli.shared import say
from recorder.errors import (
    BrakeError,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    RecorderError,
    RefusedError,
)
from storage.errors import IntegrityError, KeyDestroyedError, KeyUnavailableError

# New codes may be added; an unknown code means that the command failed. Listed in docs/operating.md.
EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (BrakeError, 3),
    (NotFoundError, 10),
    (KeyUnavailableError, 12),
    (KeyDestroyedError, 12),
    (IntegrityError, 13),
    (RefusedError, 14),
    (ConfigurationError, 2),
    (InvalidInputError, 2),
)

app = typer.Typer(
    help="Records calls only after a yes, keeps them sealed for 90 days, lets the caller hear them, and makes them "
    "gone.\n\n\b\nStart with:\n  recorder demo      the whole story, with real speech\n"
    "  recorder serve     the service itself",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    service.serve,
    service.demo,
    service.sweep,
    service.retention,
    service.doctor,
    service.bounce,
    service.canary,
    service.migrate,
    service.health,
    service.version,
):
    app.command()(command)
for name, group in inside.GROUPS.items():
    app.add_typer(group, name=name)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; errors become one line, a hint and a documented exit code."""
    logs.configure()  # before anything can fail: structlog's own default prints the values of variables
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of Latin-1 has no ✓ and no …
    try:
        app(arguments, standalone_mode=True)
    except RecorderError as error:
        say(f"recorder: {error} [{error.code}]")
        if error.hint:
            say(f"hint: {error.hint}")
        sys.exit(next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        sys.exit(130)
