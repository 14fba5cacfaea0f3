"""A real S3 server: one Ceph cluster of four processes, in memory, on loopback, for as long as it is asked for."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.servers.ports import free_port
from tests.servers.s3 import Gateway

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PATIENCE = 60.0  # seconds for a step; without a monitor ceph's own commands wait for five minutes


@dataclass(frozen=True)
class Cluster(Gateway):
    """A gateway, and the folder of the cluster behind it."""

    folder: Path = Path()

    @property
    def location(self) -> str:
        return "default"  # of its one zone group

    def admin(self, *words: str) -> str:
        """What only the cluster's owner may say: quotas, users."""
        return _run(self.folder, "radosgw-admin", *words)

    @contextmanager
    def another(self, certificate: Path | None = None) -> Iterator[Another]:
        """One more gateway to the same buckets, to be stopped and started again in the middle of things.

        With a `certificate` (a PEM file of a key and its chain) it speaks TLS, as localhost.
        """
        door = Another(self.folder, free_port(), certificate)
        door.start()
        try:
            yield door
        finally:
            door.stop()


class Another:
    def __init__(self, folder: Path, port: int, certificate: Path | None) -> None:
        self.endpoint = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
        self._folder, self._port, self._certificate = folder, port, certificate
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        name = f"port{self._port}"
        self._process = _spawn(self._folder, name, *_radosgw(self._port, self._certificate))
        _until(lambda: _answers(self.endpoint), f"a gateway on {self._port}", self._process)

    def stop(self) -> None:
        """Gone at once, as in a crash; connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def absent() -> list[str]:
    """The programs that this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def ceph_gateway(folder: Path, *, lifecycle_day_s: int | None = None) -> Iterator[Cluster]:
    """Start a cluster in an empty folder (whose path is short: sockets lie in it), and end it afterwards.

    `lifecycle_day_s` is how many seconds a "day" of lifecycle rules lasts; without it they are never carried out.
    The processes die with the caller's thread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_configuration(folder, lifecycle_day_s)
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, *command: str) -> subprocess.Popen[bytes]:
        process = _spawn(folder, name, *command)
        running.append(process)
        return process

    try:
        _make_monitor(folder)
        start("mon", "ceph-mon", "-i", "a")
        osd = _make_osd(folder)
        start("osd", "ceph-osd", "-i", "0", "--osd-uuid", osd)
        _until(lambda: "1 up" in _ceph(folder, "osd", "stat"), "the object store", running[-1])
        port = free_port()
        gateway = start("rgw", *_radosgw(port))
        endpoint = f"http://127.0.0.1:{port}"
        _until(lambda: _answers(endpoint), "the gateway", gateway)
        yield _user(folder, endpoint)
    finally:
        for process in reversed(running):
            process.kill()
        for process in running:
            process.wait()


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all workers of a run: the first starts it, and ends it when the others are done."""
    lacking = absent()
    if lacking:
        reason = f"no Ceph here: {', '.join(lacking)} missing"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    note = root / "ceph.json"
    with (root / "ceph.users").open("w") as users, (root / "ceph.start").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if note.exists():
            known = json.loads(note.read_text())
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield Cluster(**known | {"folder": Path(known["folder"])})
            return
        with ceph_gateway(root / "ceph") as gateway:
            note.write_text(json.dumps(asdict(gateway), default=str))
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield gateway
            fcntl.flock(users, fcntl.LOCK_UN)
            fcntl.flock(starting, fcntl.LOCK_EX)  # nobody joins any more
            fcntl.flock(users, fcntl.LOCK_EX)  # and everybody has left
            note.unlink()
        shutil.rmtree(root / "ceph", ignore_errors=True)


def _write_configuration(folder: Path, lifecycle_day_s: int | None) -> None:
    v2, v1 = free_port(), free_port()
    lines = [
        "[global]",
        f"fsid = {uuid.uuid4()}",
        f"mon_host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]",
        "public_addr = 127.0.0.1",
        f"keyring = {folder}/keyring",
        "osd_pool_default_size = 1",
        "osd_pool_default_min_size = 1",
        "mon_allow_pool_size_one = true",
        "osd_pool_default_pg_num = 4",
        "osd_pool_default_pg_autoscale_mode = off",
        "osd_crush_chooseleaf_type = 0",
        "osd_objectstore = memstore",
        "memstore_device_bytes = 4294967296",
        "osd_client_watch_timeout = 2",  # or the other gateways wait for one that was killed
        "mon_data_avail_crit = 0",
        f"run_dir = {folder}",
        f"admin_socket = {folder}/$name.$pid.sock",
        f"log_file = {folder}/$name.$pid.log",
        f"pid_file = {folder}/$name.$pid.pid",
        f"mon_data = {folder}/mon",
        f"osd_data = {folder}/osd",
        "[client.rgw]",
        f"rgw_data = {folder}/rgw",
        "rgw_crypt_require_ssl = false",
        "rgw_thread_pool_size = 32",
        "rgw_gc_obj_min_wait = 2",  # otherwise what is deleted stays in memory for two hours
        "rgw_gc_processor_period = 2",
        "rgw_gc_processor_max_time = 2",
    ]
    if lifecycle_day_s is not None:
        lines.append(f"rgw_lc_debug_interval = {lifecycle_day_s}")
    else:  # these run from midnight to six; if a gateway is killed meanwhile, setting rules has to wait
        lines.append("rgw_enable_lc_threads = false")
    (folder / "ceph.conf").write_text("\n".join(lines) + "\n")
    for part in ("mon", "osd", "rgw"):
        (folder / part).mkdir()


def _make_monitor(folder: Path) -> None:
    conf = dict(line.split(" = ", 1) for line in (folder / "ceph.conf").read_text().splitlines() if " = " in line)
    keyring, monmap = folder / "keyring", folder / "monmap"
    tool = ["ceph-authtool", str(keyring), "--gen-key"]
    _run(folder, *tool, "--create-keyring", "-n", "mon.", "--cap", "mon", "allow *")
    caps = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
    _run(folder, *tool, "-n", "client.admin", *caps)
    _run(folder, "monmaptool", "--create", "--fsid", conf["fsid"], "--addv", "a", conf["mon_host"], str(monmap))
    _run(folder, "ceph-mon", "-i", "a", "--mkfs", "--monmap", str(monmap), "--keyring", str(keyring))


def _make_osd(folder: Path) -> str:
    identity = str(uuid.uuid4())
    _until(lambda: _ceph(folder, "osd", "new", identity) == "0", "the monitor")
    users = {
        "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
        "client.rgw": ("mon", "allow rw", "osd", "allow *"),
    }
    for name, caps in users.items():
        key = _ceph(folder, "auth", "get-or-create", name, *caps)
        with (folder / "keyring").open("a") as file:
            file.write(key + "\n")
    _run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
    return identity


def _radosgw(port: int, certificate: Path | None = None) -> list[str]:
    """The gateway's command. Without `tcp_nodelay` every small answer waits 40 ms for our kernel's acknowledgement."""
    place = f"127.0.0.1:{port}"
    door = f"ssl_endpoint={place} ssl_certificate={certificate}" if certificate else f"endpoint={place}"
    return ["radosgw", "-n", "client.rgw", f"--rgw-frontends=beast {door} tcp_nodelay=1"]


def _user(folder: Path, endpoint: str) -> Cluster:
    gateway = Cluster(endpoint, secrets.token_hex(10).upper(), secrets.token_hex(20), folder=folder)
    keys = (f"--access-key={gateway.access_key}", f"--secret={gateway.secret_key}")
    _run(folder, "radosgw-admin", "user", "create", "--uid=recorder", "--display-name=recorder", *keys)
    return gateway


def _ceph(folder: Path, *words: str) -> str:
    """One command to the cluster; empty where it does not answer."""
    try:
        return _run(folder, "ceph", "--connect-timeout", "5", *words).strip()
    except subprocess.SubprocessError:
        return ""


def _run(folder: Path, program: str, *words: str) -> str:
    command = [program, "-c", str(folder / "ceph.conf"), *words]
    if program in {"ceph-authtool", "monmaptool"}:
        command = [program, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


def _spawn(folder: Path, name: str, program: str, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.out").open("ab") as output:
        command = ["setpriv", "--pdeathsig", "KILL", program, "-c", str(folder / "ceph.conf"), "-f", *words]
        return subprocess.Popen(command, stdout=output, stderr=output)


def _until(true: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise RuntimeError(f"{what} did not start")
        time.sleep(0.1)


def _answers(endpoint: str) -> bool:
    anybody = ssl._create_unverified_context()  # checking who answers is up to the tests
    try:
        with urlopen(endpoint, timeout=5, context=anybody):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
