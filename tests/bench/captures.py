"""Capture against a plaintext copy to the same store, and against an encoder where it needs one; and its memory.

The time of a plain file is only printed.
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
LIMITS = {
    "capture": ("whole", 1.35),
    "without peaks": ("without its peaks", 1.25),
    "audio alone": ("its audio alone", 1.3),
}
TOGETHER = 3  # captures at a time


def program(name: str, *arguments: object, environment: Mapping[str, str] | None = None) -> str:
    """What a program of ours prints, given a new folder to work in as its last argument."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"tests.bench.{name}", *map(str, arguments), folder]
        variables = {**os.environ, **(environment or {})}
        return subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True).stdout


def transfers(rounds: int, seconds: int, port: int, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    result: dict[str, float] = json.loads(program("capturing", rounds, seconds, port, environment=environment))
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


def figures() -> Iterator[Figure]:
    with media_server() as port:
        taken = {"5 MB": transfers(15, SMALL, port), "460 MB": transfers(3, LARGE, port)}
        for name, walls in taken.items():
            yield from compared(name, walls)
            print(f"{name}: {walls['plain file'] * 1000:,.0f} ms to a plain file", file=sys.stderr)
        yield worked("460 MB", taken["460 MB"])
        yield from memory(port, taken["460 MB"])
        for seconds, name, rounds, limit in ((300, "5 minutes", 5, 1.3), (LARGE, "4 hours", 1, 1.05)):
            yield encoded(name, limit, *map(float, program("encoding", rounds, seconds, port).split()))
        if ceph.absent():
            print("no Ceph here: S3 is not measured", file=sys.stderr)
            return
        with bucket() as settings:
            yield from compared("5 MB to S3", transfers(15, SMALL, port, settings))
            yield from compared("460 MB to S3", transfers(3, LARGE, port, settings))


def compared(name: str, walls: Mapping[str, float]) -> Iterator[Figure]:
    unhashed = f"{walls['unhashed copy'] * 1000:,.0f} unhashed"
    copied = (walls["copy"], f"{walls['copy'] * 1000:,.0f} ms plaintext copy with its SHA-256, {unhashed}")
    for how, (label, limit) in LIMITS.items():
        wall = (walls[how], f"{walls[how] * 1000:,.0f} ms")
        yield ratio(f"capture of {name}, {label}", wall, copied, limit)


def worked(name: str, taken: Mapping[str, float]) -> Figure:
    ours, theirs = (taken[f"{one}, processor"] for one in ("capture", "copy"))
    return ratio(
        f"capture of {name}, processor time",
        (ours, f"{ours * 1000:,.0f} ms"),
        (theirs, f"{theirs * 1000:,.0f} ms plaintext copy with its SHA-256"),
        2.0,
    )


def memory(port: int, long: Mapping[str, float]) -> Iterator[Figure]:
    peak, idle = long["peak_mib"], long["idle_mib"]
    short = transfers(1, 300, port)["peak_mib"]
    several = float(program("together", TOGETHER, LARGE, port))
    each = (several - float(program("together", 1, LARGE, port))) / (TOGETHER - 1)
    yield grown("memory, 4 hours", peak, f"{short:.0f} MiB at 5 minutes", peak - short, 16)
    yield grown("memory, 4 hours beside idle", peak, f"{idle:.0f} MiB idle", peak - idle, 32)
    yield grown("memory, each further 4 hours at a time", several, f"{TOGETHER} at a time", each, 24)


def grown(name: str, measured_mib: float, reference: str, growth_mib: float, limit: float) -> Figure:
    return Figure(name, f"{measured_mib:.0f} MiB", reference, growth_mib, limit)


def encoded(name: str, limit: float, theirs: float, ours: float) -> Figure:
    return ratio(
        f"capture of {name} with its MP3",
        (ours, f"{ours:.1f} s"),
        (theirs, f"{theirs:.1f} s, ffmpeg from file to file"),
        limit,
    )
