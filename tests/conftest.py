"""Fixtures everybody shares: a clean environment, a clock that moves, a service built of real parts."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.servers.ceph import ceph as ceph  # noqa: PLC0414 -- a fixture for every test
from tests.servers.gateway import gateway as gateway  # noqa: PLC0414
from tests.servers.moto import moto as moto  # noqa: PLC0414
from tests.servers.postgresql import Server, server

if TYPE_CHECKING:
    from recorder.ports import Service
    from recorder.settings import Settings

for _name in [name for name in os.environ if name.startswith("RECORDER_")]:
    del os.environ[_name]


BEGINNING = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


def pytest_configure(config: pytest.Config) -> None:
    """Have tests write their files to memory where possible: hundreds of them start by syncing a hundred keys."""
    if config.option.basetemp is None and MEMORY:
        config.option.basetemp = Path(tempfile.mkdtemp(prefix="recorder-tests-", dir=MEMORY))
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def pytest_collection_finish() -> None:
    """Spare hundreds of full garbage collections from looking at everything that was imported, every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logs_as_found() -> Iterator[None]:
    """Undo logging set up in a test: its stream closes with the test, and the next test must not write there."""
    yield
    structlog.reset_defaults()


class MovingClock:
    """The time a service is handed. Moves only when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> datetime:
        self.now += timedelta(**parts)
        return self.now


LINES = """\
[[line]]
number = "+4570123456"
brand = "flexii"
customer_type = "private"
call_kind = "service"
language = "da"
script = "inbound-da"
consent = "ask"
then.dial = "+4570000000"

[[line]]
number = "+4570123457"
brand = "flexii"
customer_type = "private"
call_kind = "sales"
language = "da"
script = "outbound-da"
consent = "asked_elsewhere"
then.dial = "+4570000000"
"""

DIRECTORY = """\
phone,account,email,mobile,customer_type,language
+4520123456,A-1001,anna@example.com,+4520123456,private,da
+4520123457,A-1002,bent@example.com,+4520123457,business,en
"""


def furnish(data: Path) -> None:
    """Lay a line table and a directory of customers into a data folder."""
    (data / "lines.toml").write_text(LINES, "utf-8")
    (data / "directory.csv").write_text(DIRECTORY, "utf-8")


TWILIO_SID = "AC" + "0" * 32
TWILIO_TOKEN = "0123456789abcdef0123456789abcdef"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(BEGINNING)


DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """One PostgreSQL per process that runs tests. Its path is short, for a socket lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="recorder-pg-", dir=MEMORY))
    with server(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def database_kind() -> str:
    """Which database a test's service has; a folder or file of tests whose rules touch rows overrides this."""
    return "sqlite"


@dataclass(frozen=True)
class Prepared:
    """What a first start leaves: a data folder with a hundred keys, and the database that names them."""

    data: Path
    database_url: str | None  # None: it lies in the folder


@pytest.fixture(scope="session")
def prepare(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Prepared]:
    """Make a first start once per kind of database, for all tests."""

    @functools.cache
    def prepared(kind: str) -> Prepared:
        from recorder.service import opened
        from recorder.settings import load

        data = tmp_path_factory.mktemp("prepared") / "data"
        environment = {"RECORDER_DATA_DIR": str(data)}
        url = None
        if kind == "postgresql":
            url = environment["RECORDER_DATABASE__URL"] = request.getfixturevalue("postgresql_server").create()
        with opened(load(environment), clock=MovingClock(BEGINNING)):
            pass
        return Prepared(data, url)

    return prepared


@pytest.fixture
def environment(
    tmp_path: Path,
    clock: MovingClock,
    database_kind: str,
    prepare: Callable[[str], Prepared],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, str]]:
    """Settings of a first start on one kind of database; a test may change them before it asks for `service`."""
    prepared = prepare(database_kind)
    data = tmp_path / "data"
    shutil.copytree(prepared.data, data)
    data.chmod(0o700)
    furnish(data)
    named = {
        "RECORDER_DATA_DIR": str(data),
        "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
        "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
        "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
    }
    if prepared.database_url is None:
        yield named
        return
    # Time is injected, the server's like ours; test_sweep covers what happens where the two differ.
    monkeypatch.setattr("storage.database.Database.server_time", lambda _: clock())
    running: Server = request.getfixturevalue("postgresql_server")
    url = running.create(prepared.database_url)
    yield named | {"RECORDER_DATABASE__URL": url}
    running.drop(url)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    from recorder.settings import load

    return load(environment)


@pytest.fixture
def service(settings: Settings, clock: MovingClock) -> Iterator[Service]:
    from recorder.service import opened

    with opened(settings, clock=clock) as running:
        yield running
