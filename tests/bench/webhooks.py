"""Durable webhooks against the same handler without a database, and against a bare handler."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from recorder.audio.coder import ffmpeg, step_back
from tests.bench.figures import Figure, alternated, ratio
from tests.servers import postgresql

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REQUESTS = 9000
NAIVE = 600  # requests to whoever answers so few
RATE = 200.0
OPEN_SECONDS = 10
ROUNDS = 5


def prepared(count: int) -> bytes:
    """Signed canonical events, three a call, as raw HTTP requests; pickled for the load's process."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    stamp = str(int(time.time()))
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    requests = []
    for number in range(count):
        call = f"pbx-{uuid.uuid4()}" if number % 3 == 0 else call  # noqa: F821 -- set in the first round
        data = (
            {"direction": "inbound", "from": "+4520123456", "to": "+4570123456", "queue": "billing", "agent": "a-17"},
            {"method": "dtmf", "digit": "1", "script": "inbound-da@1", "at": moment},
            {"ended_at": moment},
        )[number % 3]
        kind = ("call.started", "consent.granted", "call.ended")[number % 3]
        body = json.dumps({"type": kind, "timestamp": moment, "data": {"call_id": call, **data}}).encode()
        identifier = f"msg_{uuid.uuid4().hex}"
        signed = f"{identifier}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        head = (
            "POST /webhooks/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"webhook-id: {identifier}\r\nwebhook-timestamp: {stamp}\r\nwebhook-signature: v1,{signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return pickle.dumps(requests)


@contextmanager
def server(kind: str, *, pinned: bool, database: str | None = None, preloaded: Path | None = None) -> Iterator[int]:
    """A server of one kind in a process of its own, and its worker in another; gives its port.

    Throughput is compared on one core, so that threads are no advantage; latency on all, as in service.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.server", kind, "pinned" if pinned else "free", folder]
        environment = os.environ | ({"LD_PRELOAD": str(preloaded)} if preloaded else {})
        process = subprocess.Popen(
            [*command, *([database] if database else [])], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()


def load(port: int, how: str, number: float, count: int = 0) -> dict[str, float]:
    count = count or (REQUESTS if how == "closed" else int(RATE * OPEN_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requests")
        path.write_bytes(prepared(count))
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load", str(port), str(path), how, str(number), "204"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextmanager
def encoders() -> Iterator[None]:
    """Two MP3 encoders, at the low priority that captures give them."""
    command = [ffmpeg(), "-v", "quiet", "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=8000"]
    running = []
    try:
        for _ in range(2):
            running.append(subprocess.Popen([*command, "-f", "mp3", "-y", "/dev/null"], process_group=0))
            step_back(running[-1].pid)  # before it has threads
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder, postgresql.server(Path(folder), settings="") as server_:
        yield from _throughput(server_)
        yield from _latency(server_)
    yield from _beside_sessions()


def _throughput(databases: postgresql.Server) -> Iterator[Figure]:
    def rps(kind: str, database: str | None = None) -> float:
        with server(kind, pinned=True, database=database) as port:
            return load(port, "closed", 32)["rps"]

    undurable, lite, post = alternated(
        ROUNDS, lambda: rps("unkept"), lambda: rps("durable"), lambda: rps("durable", databases.create())
    )
    for name, durable, limit in (("SQLite", lite, 0.55), ("PostgreSQL", post, 0.45)):
        yield ratio(
            f"durable webhook, 32 connections, {name}",
            (durable, f"{durable:,.0f}/s"),
            (undurable, f"{undurable:,.0f}/s without database"),
            limit,
            at_least=True,
        )


def _beside_sessions() -> Iterator[Figure]:
    """Against a session and a commit for every event, on this machine's disk and on one whose flushes take longer.

    Neither applies what it takes in.
    """

    def rps(kind: str, count: int, disk: Path | None = None) -> float:
        with server(kind, pinned=True, preloaded=disk) as port:
            return load(port, "closed", 32, count)["rps"]

    def compared(name: str, limit: float, disk: Path | None = None) -> Figure:
        naive, ours = alternated(3, lambda: rps("naive", NAIVE, disk), lambda: rps("accepting", REQUESTS, disk))
        told = f"{naive:,.0f}/s with a session each"
        return ratio(f"durable webhook, {name}", (ours, f"{ours:,.0f}/s"), (naive, told), limit, at_least=True)

    yield compared("beside sessions, SQLite", 6.0)
    if shutil.which("cc") is None:
        print("no C compiler here: a slow disk is not measured", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder, "slow_disk.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", disk, Path(__file__).with_name("slow_disk.c")], check=True)
        yield compared("beside sessions, flushes 2 ms longer", 10.0, disk)


def _latency(databases: postgresql.Server) -> Iterator[Figure]:
    def taken(kind: str, database: str | None = None) -> Callable[[], tuple[float, float]]:
        def measure() -> tuple[float, float]:
            with server(kind, pinned=False, database=database and databases.create()) as port:
                found = load(port, "open", RATE)
            return found["p50"], found["p99"]

        return measure

    def compared(name: str, limit: float) -> Iterator[Figure]:
        bare, *kept = _medians(taken("bare"), taken("durable"), taken("durable", "PostgreSQL"))
        for database, figure in zip(("SQLite", "PostgreSQL"), kept, strict=True):
            yield ratio(f"webhook p99 {name}, {database}", _told(figure), _told(bare), limit)

    yield from compared("at 200/s, open loop", 3.0)
    with encoders():
        yield from compared("beside two encoders", 6.0)


def _medians(*measures: Callable[[], tuple[float, float]]) -> list[tuple[float, float]]:
    """p50 and p99 of each, each the median of its rounds."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [(median(p50 for p50, _ in one), median(p99 for _, p99 in one)) for one in zip(*rounds, strict=True)]


def _told(figure: tuple[float, float]) -> tuple[float, str]:
    p50, p99 = figure
    return p99, f"{p99 * 1000:.1f} ms, median {p50 * 1000:.1f}"
