"""Capture against a plaintext copy to the same store, and memory from 5 minutes to 4 hours.

The limit with peaks is issue 2's, without them issue 3's. The time of a plain file is only printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Figure, ratio
from tests.bench.media import media_server
from tests.servers import ceph

SMALL = 5_000_000 // 32_000  # seconds of call in 5 MB
LARGE = 4 * 3600  # 460 MB
LIMITS = {"capture": ("whole", 1.35), "without peaks": ("without its peaks", 1.25)}


def transfers(rounds: int, seconds: int, port: int, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.capturing", str(rounds), str(seconds), str(port), folder]
        variables = {**os.environ, **(environment or {})}
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextmanager
def bucket() -> Iterator[dict[str, str]]:
    """A bucket of a real S3 server, as settings."""
    with tempfile.TemporaryDirectory(prefix="ceph") as folder, ceph.ceph_gateway(Path(folder)) as gateway:
        yield gateway.credentials | {
            "RECORDER_STORE__URL": f"s3://{gateway.bucket()}/bench",
            "RECORDER_STORE__ENDPOINT_URL": gateway.endpoint,
            "RECORDER_STORE__REGION": gateway.region,
        }


def compared(name: str, walls: Mapping[str, float]) -> Iterator[Figure]:
    unhashed = f"{walls['unhashed copy'] * 1000:,.0f} unhashed"
    copied = (walls["copy"], f"{walls['copy'] * 1000:,.0f} ms plaintext copy with its SHA-256, {unhashed}")
    for how, (label, limit) in LIMITS.items():
        wall = (walls[how], f"{walls[how] * 1000:,.0f} ms")
        yield ratio(f"capture of {name}, {label}", wall, copied, limit)


def figures() -> Iterator[Figure]:
    with media_server() as port:
        taken = {"5 MB": transfers(15, SMALL, port), "460 MB": transfers(3, LARGE, port)}
        for name, walls in taken.items():
            yield from compared(name, walls)
            print(f"{name}: {walls['plain file'] * 1000:,.0f} ms to a plain file", file=sys.stderr)
        short, long = transfers(1, 300, port)["peak_mib"], taken["460 MB"]["peak_mib"]
        yield Figure(
            "memory, 5 minutes to 4 hours",
            f"{long:.0f} MiB",
            f"{short:.0f} MiB at 5 minutes",
            long - short,
            16,
        )
        if ceph.absent():
            print("no Ceph here: S3 is not measured", file=sys.stderr)
            return
        with bucket() as settings:
            yield from compared("5 MB to S3", transfers(15, SMALL, port, settings))
            yield from compared("460 MB to S3", transfers(3, LARGE, port, settings))
