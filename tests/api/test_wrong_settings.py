"""Settings that are plausible and wrong: each is named, none is repeated, and nothing ends in a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli import main
from recorder import checkup
from recorder.settings import load


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    return int(exit_.value.code or 0)


def setting(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in (environment | {f"RECORDER_{name}": value for name, value in more.items()}).items():
        monkeypatch.setenv(name, value)


def test_a_password_with_any_sign_is_not_shown(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = 'postgresql+psycopg://rec:s3cr3t/"?#+s3cr3t@db.example.dk/x?sslpassword=s3cr3t'
    setting(environment, monkeypatch, DATABASE__URL=url)

    assert ended("config", "show") == 0
    assert "s3cr3t" not in (printed := capsys.readouterr().out)
    assert "@db.example.dk/x" in json.loads(printed)["database"]["url"]


def test_what_a_web_address_asks_for_is_not_shown(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It often holds a key, under whatever name."""
    told = {"SUBSCRIBERS__CRM__SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SUBSCRIBERS__CRM__COUNTRY": "DK"}
    url = 'https://crm.example.dk/hook?v=s3cr3t&"code"=s3cr3t'
    setting(environment, monkeypatch, SUBSCRIBERS__CRM__URL=url, **told)

    assert ended("config", "show") == 0
    assert "s3cr3t" not in (printed := capsys.readouterr().out)
    assert json.loads(printed)["subscribers"]["crm"]["url"].startswith("https://crm.example.dk/hook?")


@pytest.mark.parametrize(
    "more",
    [
        {"MAIL__URL": "smtp://rec:s3cr3t/abc@relay.example.dk:587", "MAIL__COUNTRY": "DK"},
        {"SMS__URL": "https://rec:s3cr3t/abc@gateway.example.dk/send", "SMS__COUNTRY": "DK"},
        {"DATABASE__URL": "postgres://rec:s3cr3t@db.example.dk/x"},
        {"DATABASE__URL": "postgresql://rec:an@other:s3cr3t@db.example.dk/x"},
        {"DATABASE__URL": "sqlite:////proc/s3cr3t"},
        {"STORE": "s3://x", "STORE__REGION": "s3cr3t"},
        {"SUBSCRIBERS__CRM": "https://crm.example.dk", "SUBSCRIBERS__CRM__SECRETS": "s3cr3t"},
    ],
)
def test_a_setting_that_cannot_be_read_is_named_and_not_repeated(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, str],
) -> None:
    setting(environment, monkeypatch, **more)

    assert ended("token", "list") == 2
    told = "".join(capsys.readouterr())
    assert "[configuration]" in told
    assert "s3cr3t" not in told


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_a_subscriber_that_nothing_could_be_sent_to_is_named_before_anything_is(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    secret = {"SUBSCRIBERS__CRM__SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SUBSCRIBERS__CRM__COUNTRY": "DK"}
    setting(environment, monkeypatch, SUBSCRIBERS__CRM__URL="https://crm.example.dk/s3cr3t hook", **secret)

    assert ended(command) == 2
    told = capsys.readouterr().err
    assert "RECORDER_SUBSCRIBERS__CRM: " in told
    assert "any other sign %XX" in told
    assert "s3cr3t" not in told


def test_what_no_part_can_be_made_of_is_named_at_once(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "lines.toml").write_text("[[line]]\n")
    more = {
        "STORE__URL": "ftp://127.0.0.1/x",
        "DIRECTORY__URL": "ftp://127.0.0.1/x",
        "MAIL__URL": "http://127.0.0.1/",
        "SMS__URL": "sms://127.0.0.1/",
        "SMS__CALL_FROM": "+4570123456",
        "PLATFORMS__TWILIO__ACCOUNT_SID": "",
        "PLATFORMS__STANDARD__SECRETS": "s3cr3t",
        "LINES": str(tmp_path / "lines.toml"),
    }
    setting(environment, monkeypatch, **more)

    assert ended("serve") == 2
    told = capsys.readouterr().err
    for named in ("STORE__URL", "DIRECTORY__URL", "MAIL__URL", "SMS__URL", "CALL_FROM", "SECRETS", "line table"):
        assert named in told
    assert "s3cr3t" not in told


def test_a_folder_that_cannot_be_made_is_a_setting_that_is_wrong(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    setting(environment, monkeypatch, DATA_DIR=str(tmp_path / "file" / "data"))

    for command in (["token", "list"], ["migrate"]):
        assert ended(*command) == 2, command
    assert ended("doctor") == 1


def test_a_line_table_in_a_place_that_cannot_be_looked_at_is_a_setting_that_is_wrong(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    setting(environment, monkeypatch, LINES=str(tmp_path / "file" / "lines.toml"))

    assert ended("lines", "check") == 2


@pytest.mark.parametrize("command", [["token", "list"], ["migrate"], ["serve"], ["doctor"]])
def test_whoever_may_not_open_the_files_is_told_so(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    """As when a command is run by somebody else than the service: a file in the way refuses even root."""
    (tmp_path / "files").touch()
    setting(environment, monkeypatch, DATABASE__URL=f"sqlite:///{tmp_path}/files/recorder.sqlite")

    assert ended(*command) == (1 if command == ["doctor"] else 2)
    assert "cannot be opened by this user" in "".join(capsys.readouterr())


def test_a_script_of_another_encoding_is_a_bad_script(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(environment, monkeypatch)
    (tmp_path / "da.toml").write_bytes('name = "på-dansk"\n'.encode("latin-1"))

    assert ended("scripts", "add", str(tmp_path / "da.toml")) == 2


def test_the_doctor_says_that_twilio_is_named_without_an_account(environment: dict[str, str]) -> None:
    wanting = {name: value for name, value in environment.items() if "TWILIO" not in name}
    settings = load(wanting | {"RECORDER_SMS__URL": "twilio://+4570123456"})

    codes = {finding.code for finding in checkup.consult(settings)}
    assert {"start_refused", "sms_away", "outside_ok"} <= codes
