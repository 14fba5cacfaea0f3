"""What is written down for operators to start with: every variable is a setting, and every file is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from recorder.lines import Lines
from recorder.settings import described, load
from tests.deploy.test_monitoring import ROOT

FILES = (
    "compose.yaml",
    "Dockerfile",
    ".env.example",
    "deploy/recorder.service",
    "docs/operating.md",
    "README.md",
)


def known(variable: str) -> bool:
    plain = re.sub(r"^(RECORDER_SUBSCRIBERS__)[A-Z]+(__)", r"\1<NAME>\2", variable.removesuffix("_FILE"))
    plain = re.sub(r"^RECORDER_BRANDS__[A-Z]+__", "RECORDER_ORGANISATION__", plain)
    return plain in {name for name, _, _ in described()} | {"RECORDER_CONFIG", "RECORDER_SUBSCRIBERS__"}


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name: str) -> None:
    text = (ROOT / name).read_text("utf-8").replace("<NAME>", "CRM")
    found = set(re.findall(r"\bRECORDER_[A-Z_]+[A-Z]\b", text))

    assert {variable for variable in found if not known(variable)} == set()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return document


def test_the_replicas_settings_are_taken(compose: dict[str, Any], tmp_path: Path) -> None:
    """With the secrets that `secrets.sh` makes, and nothing of ours declared outside the EEA."""
    folder = tmp_path / "compose"
    folder.mkdir()
    script = folder / "secrets.sh"
    script.write_bytes((ROOT / "deploy" / "compose" / "secrets.sh").read_bytes())
    subprocess.run(["sh", str(script)], check=True)
    environment = {
        name: str(value).replace("/run/secrets/", f"{folder}/secrets/")
        for name, value in compose["services"]["app"]["environment"].items()
        if name.startswith("RECORDER_")
    }
    settings = load(environment)
    first = {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()}
    subprocess.run(["sh", str(script)], check=True)

    assert settings.root_key()
    assert settings.database_url.startswith("postgresql+psycopg://recorder:")
    assert {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()} == first
    assert set(compose["secrets"]) == set(first)
    assert len(Lines(ROOT / "deploy" / "compose" / "lines.toml").all()) == 1


def test_what_the_containers_are_given_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).is_file(), source
        for secret in service.get("secrets", ()):
            assert secret in compose["secrets"]
        for other in service.get("depends_on", ()):
            assert other in compose["services"]


def test_the_replicas_run_as_the_image_means_them_to(compose: dict[str, Any]) -> None:
    app = compose["services"]["app"]

    assert app["deploy"]["replicas"] == 2
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert app["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in app
    secret = {name for name in app["environment"] if re.search("TOKEN|SECRET|KEY$|PASSWORD|URL_FILE", name)}
    assert all(name.endswith("_FILE") for name in secret)


def test_no_secret_goes_into_the_history_or_the_image() -> None:
    assert "/deploy/compose/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1] == "*"
