"""A house of several replicas: one PostgreSQL, one object store, one key ring, a balancer in front."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from tests.conftest import LINES, STANDARD_SECRET
from tests.replicas.lines import Balancer, Exchange, Line, exchange
from tests.servers.ports import free_port
from tests.servers.postgresql import Server

ROOT = Path(__file__).parents[2]
WAIT = 60  # seconds a test waits for other processes before it fails
SESSION = "-c idle_in_transaction_session_timeout=2s -c lock_timeout=3s"  # shortened as `hasty` shortens the rest


class Replica:
    """A `recorder serve` that is started again whenever it ends, as a service manager does."""

    def __init__(self, environment: dict[str, str], database: Line, lines: Exchange, log: Path) -> None:
        self.port = int(environment["RECORDER_HTTP__PORT"])
        self._environment = environment
        self._database = database
        self._lines = lines
        self._log = log
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep_running)
        self._keeper.start()

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]

    def kill(self) -> None:
        """It ends in the middle of whatever it does, and what it started with it."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """It stands still and does not know it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def cut_off(self) -> None:
        """Its connections to the database break."""
        self._lines.do(self._database.cut())

    def silence(self) -> None:
        """The database does not answer it any more."""
        self._lines.do(self._database.silence())

    def heal(self) -> None:
        self.resume()
        self._lines.do(self._database.heal())

    def end(self) -> None:
        self._over.set()
        self.heal()
        self._signal(signal.SIGTERM)
        self._keeper.join(WAIT)
        self.kill()

    def _keep_running(self) -> None:
        while not self._over.is_set():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "api.cli", "serve"],
                    env={**os.environ, **self._environment},
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # it and its worker are signalled together
                )
            self._process.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._over.wait(0.2)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class House:
    """What stands: `port` is the balancer's, `environment` the settings all replicas share."""

    def __init__(self, environment: dict[str, str], replicas: list[Replica], balancer: Balancer) -> None:
        self.environment = environment
        self.replicas = replicas
        self._balancer = balancer

    @property
    def port(self) -> int:
        return self._balancer.port

    def until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < deadline, f"{what}; the replicas said:\n{self.said()}"
            time.sleep(0.05)

    def said(self) -> str:
        """What the replicas have told lately, for when something is wrong."""
        return "\n".join(replica.said() for replica in self.replicas)

    @property
    def ready(self) -> int:
        """How many replicas take connections."""
        return len(self._balancer.ready)


def settings(folder: Path, url: str, more: dict[str, str]) -> dict[str, str]:
    """What every replica is told; the folders stand for a shared file system."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "lines.toml").write_text(LINES, "utf-8")
    (folder / "directory.csv").write_text(more.pop("directory", ""), "utf-8")
    return {
        "RECORDER_DATA_DIR": str(folder / "data"),
        "RECORDER_DATABASE__URL": url,
        "RECORDER_STORE__URL": f"file://{folder}/objects",
        "RECORDER_KEYS__URL": f"file://{folder}/keys",
        "RECORDER_KEYS__ROOT_KEY": "cm9vdCBrZXkgb2YgdGhlIHJlcGxpY2FzIGluIHRlc3Q=",
        "RECORDER_MAIL__URL": f"file://{folder}/mail",
        "RECORDER_SMS__URL": f"file://{folder}/sms",
        "RECORDER_LINES": str(folder / "lines.toml"),
        "RECORDER_DIRECTORY__URL": str(folder / "directory.csv"),
        "RECORDER_PLATFORMS__STANDARD__SECRETS": STANDARD_SECRET,
        **more,
    }


@contextmanager
def standing(folder: Path, server: Server, environment: dict[str, str], count: int = 3) -> Iterator[House]:
    """Replicas on one database, each with a line of its own to it, and a balancer in front of them."""
    database = environment["RECORDER_DATABASE__URL"].partition("?")[0].rpartition("/")[2]
    with exchange() as lines:
        replicas = []
        for number in range(count):
            line = lines.add(Line(lambda: server.socket))
            own = {
                "RECORDER_DATA_DIR": str(folder / f"replica-{number}"),
                "RECORDER_DATABASE__URL": f"postgresql+psycopg://postgres@127.0.0.1:{line.port}/{database}?options={quote(SESSION)}",
                "RECORDER_HTTP__PORT": str(free_port()),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "hasty"), str(ROOT)]),
            }
            replicas.append(Replica(environment | own, line, lines, folder / f"replica-{number}.log"))
        balancer = Balancer([replica.port for replica in replicas])
        lines.add(balancer)
        try:
            yield House(environment, replicas, balancer)
        finally:
            for replica in replicas:
                replica.end()
