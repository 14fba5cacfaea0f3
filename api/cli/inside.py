"""The commands for what lies inside: tokens, the log, keys, settings, lines, scripts."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer
from rich.progress import Progress

from api.cli.shared import OPERATOR, columns, running, say, stderr

token = typer.Typer(help="Tokens of staff and platforms.", no_args_is_help=True)
audit = typer.Typer(help="The log of every act.", no_args_is_help=True)
keys = typer.Typer(help="The key ring.", no_args_is_help=True)
config = typer.Typer(help="Settings.", no_args_is_help=True)
lines = typer.Typer(help="What happens on each number.", no_args_is_help=True)
script = typer.Typer(help="The consent scripts, versioned.", no_args_is_help=True)
GROUPS = {"token": token, "audit": audit, "keys": keys, "config": config, "lines": lines, "scripts": script}


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
        text, info = tokens.create(service, role, name, service.clock(), days=days, actor=OPERATOR)
        print(text)
        say(f"{info.id}: {role}, expires {info.expires_at:%Y-%m-%d}; it is not shown again")


@token.command("list")
def token_list() -> None:
    """List tokens: never their text.

    Example:  recorder token list
    """
    from recorder import tokens

    with running() as service:
        rows = [("id", "role", "expires", "revoked", "name")]
        for info in tokens.list_tokens(service):
            revoked = f"{info.revoked_at:%Y-%m-%d}" if info.revoked_at else ""
            rows.append((info.id, info.role, f"{info.expires_at:%Y-%m-%d}", revoked, info.name))
    columns(*rows)


@token.command("revoke")
def token_revoke(token_id: Annotated[str, typer.Argument(help="the id from `recorder token list`")]) -> None:
    """Revoke a token at once, and end its sessions.

    Example:  recorder token revoke tok_3owucqfvit556j6t2z3xc7klm4
    """
    from recorder import tokens

    with running() as service:
        tokens.revoke(service, token_id, service.clock(), actor=OPERATOR)
        say(f"{token_id} is revoked")


@audit.command("verify")
def audit_verify() -> None:
    """Check every entry: numbers without a gap, hashes, time. Exit 13 where anything is wrong.

    Example:  recorder audit verify
    """
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
    """Print the log as JSON lines. It holds random ids only.

    Example:  recorder audit export > audit.jsonl
    """
    from storage import audit as log

    with running() as service:
        for line in log.export(service.database):
            print(line)


@keys.command("rotate")
def keys_rotate() -> None:
    """Seal the key ring under a new root key. It is made now, and kept where the old one was.

    Example:  recorder keys rotate
    """
    from recorder import keys as key_use_cases

    with running() as service:
        key_use_cases.rotate(service, OPERATOR, service.clock())
        say("the ring is sealed under a new root key; restart what runs beside this")


@config.command("show")
def config_show() -> None:
    """Print every setting as it stands; secrets as stars.

    Example:  recorder config show
    """
    from recorder.settings import load

    shown = json.dumps(load().model_dump(mode="json"), indent=2, ensure_ascii=False)
    shown = re.sub(r'://(?:[^"\\]|\\.)*@', "://**********@", shown)  # some URLs carry a password, with any characters
    shown = re.sub(r'(https?://(?:[^"\\?]|\\.)*\?)(?:[^"\\]|\\.)+', r"\1**********", shown)  # others a key
    print(re.sub(r'([?&]\w*password=)[^&"]*', r"\1**********", shown))


@lines.command("check")
def lines_check() -> None:
    """Print what happens on each number, and what is wrong with it.

    Exit 1 where anything is wrong, 2 where the table cannot be read.

    Example:  recorder lines check
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
    """List consent scripts, versions and when they were approved.

    Example:  recorder scripts list
    """
    from recorder import scripts

    with running() as service, service.database.read() as connection:
        rows = [("script", "language", "days told", "approved", "purposes")]
        for item in scripts.list_scripts(connection):
            approved = f"{item.approved_at:%Y-%m-%d}" if item.approved_at else "not yet"
            rows.append((item.id, item.language, str(item.retention_days), approved, ", ".join(item.purposes)))
    columns(*rows)


@script.command("add")
def scripts_add(
    file: Annotated[
        typer.FileBinaryRead, typer.Argument(help="TOML: name, language, purposes, retention_days, [texts]")
    ],
) -> None:
    """Add a new version of a script. It is played only once it is approved.

    Example:  recorder scripts add inbound-da.toml
    """
    from recorder import scripts
    from recorder.errors import InvalidInputError

    try:
        text = file.read().decode()
    except UnicodeDecodeError:
        raise InvalidInputError("not TOML: the file is not UTF-8") from None
    with running() as service, service.database.write() as connection:
        added = scripts.add_toml(connection, text, service.clock(), actor=OPERATOR)
        print(added.id)


@script.command("approve")
def scripts_approve(
    script_id: Annotated[str, typer.Argument(help="name@version")],
    by: Annotated[str, typer.Option(help="who approves")],
) -> None:
    """Approve a version: from now on it is the one that is played.

    Example:  recorder scripts approve inbound-da@2 --by "Anna Holm"
    """
    from recorder import scripts

    with running() as service, service.database.write() as connection:
        scripts.approve(connection, script_id, by, service.clock(), actor=OPERATOR)
        say(f"{script_id} is approved")
