"""A whole service on a free port, the stand-in exchange beside it, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.demo.exchange import Exchange
from api.demo.stage import DIRECTORY, LINES, DemoClock
from api.demo.visitor import Visitor
from api.server import listening
from recorder import tokens
from recorder.actors import SYSTEM
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class House:
    """The running service and who stands around it."""

    service: Service
    exchange: Exchange
    clock: DemoClock
    url: str

    def token(self, role: str) -> str:
        return tokens.create(self.service, role, f"test {role}", self.clock(), actor=SYSTEM)[0]

    def visitor(self, role: str | None = None) -> Visitor:
        return Visitor(self.url, self.token(role) if role else None)

    @property
    def data(self) -> Path:
        return self.service.settings.data_dir


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "lines.toml").write_text(LINES, "utf-8")
    (data / "directory.csv").write_text(DIRECTORY, "utf-8")
    port = free_port()
    url, clock = f"http://127.0.0.1:{port}", DemoClock()
    exchange = Exchange("AC" + "0" * 32, "1" * 32, url, clock, clock.pass_by)
    with exchange.answering():
        settings = load(
            {
                "RECORDER_DATA_DIR": str(data),
                "RECORDER_HTTP__PORT": str(port),
                "RECORDER_HTTP__PUBLIC_URL": url,
                "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": exchange.account_sid,
                "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": exchange.auth_token,
                "RECORDER_PLATFORMS__TWILIO__API_URL": exchange.rest_url,
            }
        )
        with opened(settings, clock=clock) as service, listening(service):
            yield House(service, exchange, clock, url)


@pytest.fixture
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs chromium")
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=CHROMIUM_FLAGS,
            ignore_default_args=["--disable-back-forward-cache"],  # people's browsers have one
        )
        yield chromium
        chromium.close()
