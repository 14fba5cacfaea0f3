"""The command as a person meets it: what it prints, and with which code it ends."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from api.cli import app, main
from tests.conftest import LINES


def ended(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ending:
        main(list(arguments))
    return ending.value.code


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECORDER_DATA_DIR", str(tmp_path))
    (tmp_path / "lines.toml").write_text(LINES)
    return tmp_path


def commands(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, *names, name)


@pytest.mark.parametrize("names", sorted(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_says_all_of_what_a_command_does_and_gives_an_example(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*names, "--help") == 0

    text = capsys.readouterr().out
    if "Commands:" in text:
        listed = text.partition("Commands:")[2].splitlines()
        assert [line for line in listed if line.endswith("...")] == []
    elif names != ("version",):
        assert re.search(rf"\n  Example:  [^\n]*recorder {' '.join(names)}( |\n)", text)


def test_help_begins_with_two_commands_to_start_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == 0

    assert re.search(r"\n  Start with:\n +recorder demo .*\n +recorder serve ", capsys.readouterr().out)


@pytest.mark.usefixtures("home")
def test_a_role_that_there_is_not_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("token", "create", "--role", "king", "--name", "Anna") == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no such role" in printed.err


@pytest.mark.usefixtures("home")
def test_an_error_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs and scripts read by lines, and no terminal says where one of ours ends."""
    ended("token", "create", "--role", "king", "--name", "Anna")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("recorder: no such role")
    assert line.endswith("[invalid_input]")


@pytest.mark.usefixtures("home")
def test_a_terminal_that_lacks_a_sign_gets_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "latin-1", write_through=True))

    assert ended("doctor") == 0
    assert printed.getvalue().startswith(b"\\u2713 ")


def test_health_asks_no_more_than_its_help_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("health", "--help") == 0

    asked = " ".join(capsys.readouterr().out.split())
    assert "database and key ring" in asked
    assert "store" not in asked  # all replicas have the same: one that is away takes none of them out


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["Anna Holm, databeskyttelse, kontoret i Aarhus", "[/anna]", "Anna\nHolm"])
def test_a_token_is_listed_by_the_id_it_is_revoked_by(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """However narrow the terminal, and whatever stands in a name."""
    assert ended("token", "create", "--role", "dpo", "--name", name) == 0
    capsys.readouterr()

    assert ended("token", "list") == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.endswith(" ".join(name.split()))
    assert ended("token", "revoke", line.split()[0]) == 0


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("more", [(), ("--apply",)])
def test_what_shorter_policies_would_change_is_printed_by_class(
    more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECORDER_RETENTION__BUSINESS_INBOUND_DAYS", "30")

    assert ended("retention", *more) == 0
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first == "private_inbound: 90 days; 0 would expire sooner, 0 of them at once"
    assert second == "business_inbound: 30 days; 0 would expire sooner, 0 of them at once"
    assert (last == "0 expire sooner") == bool(more)


@pytest.mark.usefixtures("home")
def test_the_line_table_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("lines", "check") == 0

    first = capsys.readouterr().out.splitlines()[0]
    assert first == "+4570123456: flexii, private, service, inbound-da (ask), dials +4570000000"


def test_what_is_wrong_with_a_line_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.toml").write_text(LINES.replace('"inbound-da"', '"no-such"', 1))

    assert ended("lines", "check") == 1
    assert "no-such" in capsys.readouterr().out


def test_a_line_table_that_cannot_be_read_is_a_setting_that_is_wrong(home: Path) -> None:
    (home / "lines.toml").write_text("[[line")

    assert ended("lines", "check") == 2


@pytest.mark.usefixtures("home")
def test_settings_are_shown_without_what_is_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("MAIL__URL", "smtp://bob:s3cr3t-mail@mail.example.dk:587"),
        ("MAIL__COUNTRY", "DK"),
        ("SMS__URL", "https://user:s3cr3t-sms@sms.example.dk/send"),
        ("SMS__COUNTRY", "DK"),
        ("DATABASE__URL", "postgresql+psycopg://rec:s3cr3t-rows@127.0.0.1/x"),
        ("PLATFORMS__TWILIO__AUTH_TOKENS", "s3cr3t-token"),
    ):
        monkeypatch.setenv(f"RECORDER_{name}", value)

    assert ended("config", "show") == 0

    printed = capsys.readouterr().out
    assert "s3cr3t" not in printed
    assert "@mail.example.dk:587" in printed


def test_p5_what_is_done_at_the_command_line_is_put_down_to_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`system` acts by rule: who makes a token or approves a script does not."""
    (home / "script.toml").write_text(SCRIPT, "utf-8")
    assert ended("token", "create", "--role", "dpo", "--name", "Anna") == 0
    capsys.readouterr()
    assert ended("token", "list") == 0
    token_id = capsys.readouterr().out.splitlines()[1].split()[0]
    assert ended("token", "revoke", token_id) == 0
    assert ended("scripts", "add", str(home / "script.toml")) == 0
    assert ended("scripts", "approve", "inbound-da@2", "--by", "Anna Holm") == 0
    capsys.readouterr()

    assert ended("audit", "export") == 0
    acts = [json.loads(line)["entry"] for line in capsys.readouterr().out.splitlines()]
    assert [(one["type"], one["actor"]) for one in acts if one["actor"] != "system"] == [
        ("token.created", "cli"),
        ("token.revoked", "cli"),
        ("script.added", "cli"),
        ("script.approved", "cli"),
    ]


SCRIPT = """\
name = "inbound-da"
language = "da"
purposes = ["quality"]
retention_days = 30

[texts]
inform = "Må vi optage?"
choose = "Tryk 1 for ja."
granted = "Tak."
refused = "Fint."
"""
