"""One command, two processes: either may be killed at any time, and there may be several of both."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest
import structlog
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from api import logs, worker
from api.worker import Worker
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage import audit
from tests.conftest import STANDARD_SECRET

WAIT = 30  # seconds a test waits for other processes before it fails


@pytest.fixture
def database_kind() -> str:
    """One folder is shared here; `tests/replicas` has servers that share a PostgreSQL."""
    return "sqlite"


def signed(name: str) -> tuple[str, dict[str, str]]:
    """Body and headers of a webhook that tells of a new call."""
    now = datetime.now(UTC)
    data = {"call_id": name, "direction": "inbound", "from": "+4520123456", "to": "+4570123456"}
    body = json.dumps({"type": "call.started", "timestamp": now.isoformat(), "data": data})
    return body, {
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(STANDARD_SECRET).sign(name, now, body),
    }


@dataclass
class Serving:
    """A `recorder serve` of its own."""

    process: subprocess.Popen[bytes]
    port: int

    def post(self, name: str) -> int:
        """Tell of a new call; gives the status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        connection.request("POST", "/webhooks/events", *signed(name))
        status = connection.getresponse().status
        connection.close()
        return status

    def worker(self) -> int:
        """The process id of the worker that has started, of this or an earlier attempt."""
        found: list[int] = []

        def begun() -> bool:
            for tasks in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
                found.extend(int(child) for child in tasks.read_text().split())
            return bool(found)

        until(begun)
        return found[0]


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[Serving]:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"],
            env={**os.environ, **environment, "RECORDER_HTTP__PORT": "0"},
            stderr=log,
        )
        try:
            until(lambda: listening_at(log) is not None)
            yield Serving(process, listening_at(log) or 0)
        finally:
            process.terminate()
            process.wait(WAIT)


def listening_at(log: IO[str]) -> int | None:
    log.seek(0)
    found = re.search(r"listening on \S+:(\d+),", log.read())
    return int(found[1]) if found else None


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def house(environment: dict[str, str]) -> Iterator[Service]:
    """A look into the house from outside; on today's clock, as the processes in it are."""
    with opened(load(environment)) as service:
        yield service


def counted(service: Service, query: str) -> int:
    with service.database.read() as connection:
        return int(connection.execute(text(query)).scalar_one())


def all_applied(service: Service) -> bool:
    return counted(service, "SELECT count(*) FROM inbox WHERE state <> 'done'") == 0


def test_p6_a_killed_worker_harms_no_webhook_and_is_followed_by_another(
    environment: dict[str, str], house: Service
) -> None:
    with serving(environment) as server:
        assert server.post("first") == 204
        until(lambda: all_applied(house))
        worker = server.worker()
        os.kill(worker, signal.SIGKILL)
        assert [server.post(f"meanwhile-{number}") for number in range(20)] == [204] * 20
        until(lambda: all_applied(house))
        assert server.worker() != worker
    assert server.process.returncode == 0
    assert counted(house, "SELECT count(*) FROM calls") == 21


def test_p6_a_killed_server_leaves_no_worker_behind_and_loses_nothing(
    environment: dict[str, str], house: Service
) -> None:
    answered = []
    with serving(environment) as server:
        worker = server.worker()

        def post() -> None:
            for number in range(1000):
                try:
                    status = server.post(f"pbx-{number}")
                except (OSError, http.client.HTTPException):
                    return
                assert status == 204
                answered.append(number)

        posting = threading.Thread(target=post)
        posting.start()
        until(lambda: len(answered) > 30)
        os.kill(server.process.pid, signal.SIGKILL)
        posting.join()
    until(lambda: not alive(worker))
    with serving(environment):
        until(lambda: all_applied(house))
    assert counted(house, "SELECT count(*) FROM calls") in {len(answered), len(answered) + 1}
    assert audit.verify(house.database).ok


def test_p6_two_servers_on_one_folder_share_the_work(environment: dict[str, str], house: Service) -> None:
    with serving(environment) as one, serving(environment) as other:
        threads = [
            threading.Thread(target=lambda server=server: [server.post(f"pbx-{number}") for number in range(40)])
            for server in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: all_applied(house))
    assert (one.process.returncode, other.process.returncode) == (0, 0)
    assert counted(house, "SELECT count(*) FROM calls") == 40
    assert audit.verify(house.database).ok


def test_a_worker_that_is_told_to_stop_with_its_server_ends_with_it(environment: dict[str, str]) -> None:
    """As systemd does it: SIGTERM to both at once."""
    with serving(environment) as server:
        worker = server.worker()
        os.kill(server.process.pid, signal.SIGTERM)
        os.kill(worker, signal.SIGTERM)
        assert server.process.wait(WAIT) == 0
    assert not alive(worker)


def test_a_worker_that_cannot_begin_is_tried_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    begins, again = subprocess.Popen, threading.Event()
    tries: list[int] = []

    def begin(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        tries.append(1)
        if len(tries) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")  # what fork says where no process is left
        again.set()
        return begins(["/bin/cat"], *arguments[1:], **more)

    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(subprocess, "Popen", begin)
    jobs = Worker(service)
    jobs.start()
    try:
        assert again.wait(5)
    finally:
        jobs.stop()


def test_a_worker_that_does_not_listen_holds_nobody_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for its store to start with has not come to reading what it is rung for."""
    begins, begun = subprocess.Popen, threading.Event()

    def begin(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        begun.set()
        return begins(["/bin/sleep", "60"], *arguments[1:], **more)

    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(subprocess, "Popen", begin)
    jobs = Worker(service)
    jobs.start()
    assert begun.wait(5)
    for number in range(40):  # more than a pipe holds
        jobs.wake(f"{number:04000}")
        time.sleep(2 * worker.GATHER_SECONDS)
    stopping = threading.Thread(target=jobs.stop, daemon=True)
    stopping.start()
    stopping.join(WAIT)
    assert not stopping.is_alive()


class Pieces(io.StringIO):
    """A stream that is not buffered: whatever is written goes out by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, piece: str) -> int:
        self.written.append(piece)
        return len(piece)


def test_a_line_of_the_log_is_written_whole_so_that_the_other_process_cannot_come_in_between() -> None:
    stream = Pieces()
    logs.configure(stream)
    structlog.get_logger().warning("job.stopped", job="sweep")
    (line,) = stream.written
    assert line.endswith("\n")
    assert json.loads(line)["event"] == "job.stopped"
