"""Running the service and looking after it."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Annotated

import typer
from rich.progress import Progress

from api.cli.shared import OPERATOR, running, say, stderr
from recorder import __version__


def serve() -> None:
    """Run API, pages and jobs until it is told to stop. What it needs, it creates and migrates.

    Example:  RECORDER_DATA_DIR=/srv/recorder recorder serve
    """
    from api.server import serve as serve_forever
    from recorder.settings import load

    serve_forever(load(), announce=say)


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Tell the story and stop.")] = False,
) -> None:
    """Tell the whole story with real speech, then keep serving. Needs no account, and no setting.

    Example:  recorder demo --once
    """
    from api.demo.story import tell
    from recorder.settings import load

    tell(load(), once=once)


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


def retention(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it: bring forward when they expire.")] = False,
) -> None:
    """Print what policies that became shorter would change. A longer one changes nothing for what is kept already.

    With --apply they expire sooner, for good; what is due at once goes with the next sweep.

    Example:  recorder retention
    """
    from recorder import shortening

    with running() as service:
        now = service.clock()
        found = shortening.plan(service, now)
        for one in found:
            print(one.line())
        if not apply:
            return
        with Progress(console=stderr, transient=True) as progress:
            bar = progress.add_task("bringing forward", total=sum(one.sooner for one in found) or None)
            done = shortening.shorten(service, OPERATOR, now, lambda done: progress.update(bar, completed=done))
        print(f"{done} expire sooner")


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


def bounce() -> None:
    """Stop the link of a mail that came back, read from stdin. People are asked to look.

    For a pipe of the mail server. Anything that is no bounce changes nothing. Exit 10 where the mail is not ours, 2
    where it does not say which it is.

    Example:  recorder bounce < returned.eml
    """
    from recorder.delivery import bounces

    mail = sys.stdin.buffer.read(bounces.LONGEST)
    with running() as service:
        say(bounces.report_mail(service, mail, OPERATOR, service.clock()))


def canary(line: Annotated[str, typer.Argument(help="the number to call, as in lines.toml")]) -> None:
    """Call one of our own lines and check every step. Question, key, tones, capture, play, delete.

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


def migrate() -> None:
    """Bring the database to this version's schema. Safe beside `serve` and when there is nothing to do.

    Example:  recorder migrate
    """
    from recorder.service import make_home
    from recorder.settings import load
    from storage.database import Database
    from storage.migrations import migrate as upgrade

    settings = load()
    make_home(settings)
    with closing(Database(settings.database_url)) as database:
        upgrade(database)
    say("the schema is current")


def health(
    *,
    ready: Annotated[bool, typer.Option("--ready", help="Also database and key ring.")] = False,
) -> None:
    """Ask the `serve` of this machine whether it answers. Exit 1 where not. For containers and supervisors.

    Example:  recorder health --ready
    """
    from api.health import ask
    from recorder.settings import load

    found = ask(load().http, "/readyz" if ready else "/healthz")
    print(found)
    if found not in {"ok", "ready"}:
        raise typer.Exit(1)


def version() -> None:
    """Print the version."""
    print(__version__)
