"""A service that is stopped, backed up, and restored as docs/operating.md says, on either database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder.ports import Service
from recorder.service import opened
from recorder.settings import Settings, load
from tests.conftest import MovingClock


@dataclass
class House:
    """A service that can be stopped, and what an operator backs up of it: database and objects, never the ring."""

    environment: dict[str, str]
    clock: MovingClock
    request: pytest.FixtureRequest

    @property
    def data(self) -> Path:
        return Path(self.environment["RECORDER_DATA_DIR"])

    @contextmanager
    def running(self) -> Iterator[Service]:
        with opened(self.settings, clock=self.clock) as service:
            yield service

    @property
    def settings(self) -> Settings:
        return load(self.environment)

    def back_up(self, into: Path) -> None:
        into.mkdir()
        shutil.copytree(self.data / "objects", into / "objects")
        if url := self.environment.get("RECORDER_DATABASE__URL"):
            self.request.getfixturevalue("postgresql_server").dump(url, into / "dump")
        else:
            with closing(sqlite3.connect(self.data / "recorder.sqlite")) as database:
                database.execute("VACUUM INTO ?", (str(into / "recorder.sqlite"),))

    def restore(self, source: Path) -> None:
        shutil.rmtree(self.data / "objects")
        shutil.copytree(source / "objects", self.data / "objects")
        if "RECORDER_DATABASE__URL" in self.environment:
            server = self.request.getfixturevalue("postgresql_server")
            self.environment["RECORDER_DATABASE__URL"] = url = server.restore(source / "dump")
            self.request.addfinalizer(lambda: server.drop(url))
        else:
            for file in self.data.glob("recorder.sqlite*"):
                file.unlink()
            shutil.copy(source / "recorder.sqlite", self.data / "recorder.sqlite")
