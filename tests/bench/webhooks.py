"""Durable webhooks against the same handler without a database, and against a bare handler."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Figure, alternated, ratio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REQUESTS = 9000
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
def server(kind: str, *, pinned: bool) -> Iterator[int]:
    """A server of one kind in a process of its own; gives its port.

    Throughput is compared on one core, so that threads are no advantage; latency on all, as in service.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server", kind, "pinned" if pinned else "free", folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()


def load(port: int, how: str, number: float) -> dict[str, float]:
    count = REQUESTS if how == "closed" else int(RATE * OPEN_SECONDS)
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
    """Two MP3 encoders at nice 19, as two captures would run them."""
    command = ["nice", "-n", "19", "ffmpeg", "-v", "quiet", "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=8000"]
    running = [subprocess.Popen([*command, "-f", "mp3", "-y", "/dev/null"]) for _ in range(2)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def figures() -> Iterator[Figure]:
    def throughput(kind: str) -> float:
        with server(kind, pinned=True) as port:
            return load(port, "closed", 32)["rps"]

    def p99(kind: str) -> float:
        with server(kind, pinned=False) as port:
            return load(port, "open", RATE)["p99"]

    undurable, durable = alternated(ROUNDS, lambda: throughput("unkept"), lambda: throughput("durable"))
    yield ratio(
        "durable webhook, 32 connections",
        (durable, f"{durable:,.0f}/s"),
        (undurable, f"{undurable:,.0f}/s without database"),
        0.45,
        at_least=True,
    )
    bare, kept = alternated(ROUNDS, lambda: p99("bare"), lambda: p99("durable"))
    yield ratio(
        "webhook p99 at 200/s, open loop",
        (kept, f"{kept * 1000:.1f} ms"),
        (bare, f"{bare * 1000:.1f} ms bare handler"),
        3.0,
        at_least=False,
    )
    with encoders():
        bare, kept = alternated(ROUNDS, lambda: p99("bare"), lambda: p99("durable"))
    yield ratio(
        "the same beside two encoders",
        (kept, f"{kept * 1000:.1f} ms"),
        (bare, f"{bare * 1000:.1f} ms bare handler beside them"),
        6.0,
        at_least=False,
    )
