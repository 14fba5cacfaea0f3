"""The `recorder` command. Results go to stdout, everything else to stderr; no secret is ever an argument."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from api import logs
from recorder import __version__
from recorder.errors import (
    BrakeError,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    RecorderError,
    RefusedError,
)
from recorder.ports import Actor, Service
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

OPERATOR = Actor("cli", "operator")
stderr = Console(stderr=True)

app = typer.Typer(
    help="Records calls only after a yes, keeps them sealed for 90 days, lets the caller hear them, and makes them "
    "gone.\n\nStart with:  recorder demo   (the whole story with real speech)\nor:  recorder serve",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
token = typer.Typer(help="Tokens of staff and platforms.", no_args_is_help=True)
audit = typer.Typer(help="The log of every act.", no_args_is_help=True)
keys = typer.Typer(help="The key ring.", no_args_is_help=True)
config = typer.Typer(help="Settings.", no_args_is_help=True)
lines = typer.Typer(help="What happens on each number.", no_args_is_help=True)
script = typer.Typer(help="The consent scripts, versioned.", no_args_is_help=True)
for name, group in (("token", token), ("audit", audit), ("keys", keys), ("config", config), ("lines", lines)):
    app.add_typer(group, name=name)
app.add_typer(script, name="scripts")


@contextmanager
def running() -> Iterator[Service]:
    from recorder.service import opened
    from recorder.settings import load

    with opened(load()) as service:
        yield service


def say(text: str) -> None:
    stderr.print(text, highlight=False, markup=False)


@app.command()
def serve() -> None:
    """Run API, pages and jobs until it is told to stop; creates and migrates what it needs.

    Example:  RECORDER_DATA_DIR=/srv/recorder recorder serve
    """
    from api.server import serve as serve_forever
    from recorder.settings import load

    serve_forever(load(), announce=say)


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Tell the story and stop.")] = False,
) -> None:
    """Tell the whole story on the embedded default, with real speech; then keep serving.

    Example:  recorder demo --once
    """
    from api.demo.story import tell
    from recorder.settings import load

    tell(load(), once=once)


@app.command()
def sweep(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what is due and why.")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="Print the id of each recording that is due.")] = False,
) -> None:
    """Erase what is due, and print what and why.

    A person's sweep prints what differs from the forecast and goes on; exit 3 where a brake holds.

    Example:  recorder sweep --dry-run --ids
    """
    from recorder import sweep as sweeping

    with running() as service:
        now = service.clock()
        plan = sweeping.plan(service, now)
        for line in plan.lines():
            print(line)
        for recording_id in sweeping.due_ids(service, plan) if ids else ():
            print(recording_id)
        if dry_run:
            raise typer.Exit(3 if plan.brakes else 0)
        with Progress(console=stderr, transient=True) as progress:
            bar = progress.add_task("erasing", total=plan.due or None)
            report = sweeping.sweep(
                service,
                now,
                unattended=False,
                actor=OPERATOR,
                progress=lambda done: progress.update(bar, completed=done),
            )
        for line in report.lines():
            print(line)


@app.command()
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Ask every part for the truth, and say what to do. Exit 1 where something is wrong.

    Every finding has a code; docs/doctor.md explains each. May run beside `serve`.

    Example:  recorder doctor --json
    """
    from recorder import checkup
    from recorder.settings import load

    signs = {"ok": "✓", "warning": "!", "fault": "✗"}
    findings = []
    for finding in checkup.consult(load()):
        findings.append(finding)
        if not as_json:
            print(f"{signs[finding.level]} {finding.part:12} {finding.text}  [{finding.code}]")
            if finding.advice:
                print(f"{'':15}→ {finding.advice}")
    if as_json:
        print(json.dumps({"findings": [one.document() for one in findings]}, indent=2, ensure_ascii=False))
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)


@app.command()
def bounce() -> None:
    """Read one bounced mail from stdin: its link stops, and people are asked to look. For a pipe of the mail server.

    Anything that is no bounce changes nothing. Exit 10 where the mail is not ours, 2 where it does not say which it is.

    Example:  recorder bounce < returned.eml
    """
    from recorder import bounces

    mail = sys.stdin.buffer.read(bounces.LONGEST)
    with running() as service:
        say(bounces.report_mail(service, mail, OPERATOR, service.clock()))


@app.command()
def canary(line: Annotated[str, typer.Argument(help="the number to call, as in lines.toml")]) -> None:
    """Call one of our own lines and check every step: question, key, tones, capture, play, delete.

    Run it beside `serve`. Exit 1 where a step failed; its name and why are printed.

    Example:  recorder canary +4570123456
    """
    from recorder import canary as calling

    with running() as service, stderr.status(f"calling {line}"):
        report = calling.run(service, line)
    for name, seconds in report.passed:
        print(f"✓ {name:20} {seconds:6.1f} s")
    if report.failed:
        print(f"✗ {report.failed:20} {', '.join(report.why)}")
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe beside `serve` and when there is nothing to do."""
    from recorder.settings import load
    from storage.database import Database
    from storage.migrations import migrate as upgrade

    settings = load()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database_url)
    upgrade(database)
    database.close()
    say("the schema is current")


@app.command()
def health(
    *,
    ready: Annotated[bool, typer.Option("--ready", help="Also database, key ring and store.")] = False,
) -> None:
    """Ask the `serve` of this machine whether it answers; exit 1 where not. For containers and supervisors.

    Example:  recorder health --ready
    """
    from api.health import ask
    from recorder.settings import load

    found = ask(load().http, "/readyz" if ready else "/healthz")
    print(found)
    if found not in {"ok", "ready"}:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@token.command("create")
def token_create(
    *,
    role: Annotated[str, typer.Option(help="platform, agent, reviewer, dpo, operator or auditor")],
    name: Annotated[str, typer.Option(help="whose it is; shown in lists")],
    days: Annotated[int, typer.Option(min=1, max=365, help="days until it expires")] = 90,
) -> None:
    """Make a token and print it, once. Only its SHA-256 is kept.

    Example:  recorder token create --role dpo --name "Anna Holm" > dpo.token
    """
    from recorder import tokens

    with running() as service:
        text, info = tokens.create(service, role, name, service.clock(), days=days)
        print(text)
        say(f"{info.id}: {role}, expires {info.expires_at:%Y-%m-%d}; it is not shown again")


@token.command("list")
def token_list() -> None:
    """List tokens: never their text."""
    from recorder import tokens

    with running() as service:
        table = Table("id", "role", "name", "expires", "revoked", box=None)
        for info in tokens.list_tokens(service):
            revoked = f"{info.revoked_at:%Y-%m-%d}" if info.revoked_at else ""
            table.add_row(info.id, info.role, info.name, f"{info.expires_at:%Y-%m-%d}", revoked)
        Console().print(table)


@token.command("revoke")
def token_revoke(token_id: Annotated[str, typer.Argument(help="the id from `recorder token list`")]) -> None:
    """Revoke a token at once."""
    from recorder import tokens

    with running() as service:
        tokens.revoke(service, token_id, service.clock())
        say(f"{token_id} is revoked")


@audit.command("verify")
def audit_verify() -> None:
    """Check every entry: numbers without a gap, hashes, time. Exit 13 where anything is wrong."""
    from storage import audit as log

    with running() as service, Progress(console=stderr, transient=True) as progress:
        bar = progress.add_task("verifying", total=None)
        report = log.verify(service.database, progress=lambda done: progress.update(bar, completed=done))
    for fault in report.faults:
        print(fault)
    print(f"{report.size} entries, {'all in order' if report.ok else 'NOT in order'}")
    if not report.ok:
        raise typer.Exit(13)


@audit.command("export")
def audit_export() -> None:
    """Print the log as JSON lines. It holds random ids only."""
    from storage import audit as log

    with running() as service:
        for line in log.export(service.database):
            print(line)


@keys.command("rotate")
def keys_rotate() -> None:
    """Seal the key ring under a new root key, made now and kept where the old one was."""
    from recorder import keys as key_use_cases

    with running() as service:
        key_use_cases.rotate(service, OPERATOR, service.clock())
        say("the ring is sealed under a new root key; restart what runs beside this")


@config.command("show")
def config_show() -> None:
    """Print every setting as it stands; secrets as dots."""
    from recorder.settings import load

    print(json.dumps(load().model_dump(mode="json"), indent=2, ensure_ascii=False))


@lines.command("check")
def lines_check() -> None:
    """Print what happens on each number, and everything that is wrong with it.

    Exit 1 where anything is wrong, 2 where the table cannot be read.
    """
    with running() as service:
        with service.database.read() as connection:
            faults = service.lines.check(connection, service.clock())
        for line in service.lines.all():
            whose = line.customer_type or "as the directory says"
            goes = f"dials {line.dial}" if line.dial else f"goes to {line.redirect}"
            print(f"{line.number}: {line.brand}, {whose}, {line.call_kind}, {line.script} ({line.consent}), {goes}")
        for fault in faults:
            print(fault)
        say(f"{len(service.lines.all())} lines, {len(faults)} faults")
        if faults:
            raise typer.Exit(1)


@script.command("list")
def scripts_list() -> None:
    """List consent scripts, versions and who approved them."""
    from recorder import scripts

    with running() as service, service.database.read() as connection:
        table = Table("script", "language", "purposes", "days told", "approved", box=None)
        for item in scripts.list_scripts(connection):
            approved = f"{item.approved_at:%Y-%m-%d}" if item.approved_at else "not yet"
            table.add_row(item.id, item.language, ", ".join(item.purposes), str(item.retention_days), approved)
    Console().print(table)


@script.command("add")
def scripts_add(
    file: Annotated[typer.FileText, typer.Argument(help="TOML: name, language, purposes, retention_days, [texts]")],
) -> None:
    """Add a new version of a script; it is played only once it is approved."""
    from recorder import scripts

    with running() as service, service.database.write() as connection:
        added = scripts.add_toml(connection, file.read(), service.clock())
        print(added.id)


@script.command("approve")
def scripts_approve(
    script_id: Annotated[str, typer.Argument(help="name@version")],
    by: Annotated[str, typer.Option(help="who approves")],
) -> None:
    """Approve a version: from now on it is the one that is played."""
    from recorder import scripts

    with running() as service, service.database.write() as connection:
        scripts.approve(connection, script_id, by, service.clock())
        say(f"{script_id} is approved")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; errors become one line, a hint and a documented exit code."""
    logs.configure()  # before anything can fail: structlog's own default prints the values of variables
    try:
        app(arguments, standalone_mode=True)
    except RecorderError as error:
        say(f"recorder: {error} [{error.code}]")
        if error.hint:
            say(f"hint: {error.hint}")
        sys.exit(next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
