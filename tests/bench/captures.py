"""Capture against a plaintext copy to the same store, and memory from 5 minutes to 4 hours."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from tests.bench.figures import Figure, ratio
from tests.bench.media import media_server

SMALL = 5_000_000 // 32_000  # seconds of call in 5 MB
LARGE = 4 * 3600  # 460 MB


def transfers(rounds: int, seconds: int, port: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.capturing", str(rounds), str(seconds), str(port), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def figures() -> Iterator[Figure]:
    with media_server() as port:
        taken = {"5 MB": transfers(15, SMALL, port), "460 MB": transfers(3, LARGE, port)}
        for name, walls in taken.items():
            copied = (walls["copy"], f"{walls['copy'] * 1000:,.0f} ms plaintext copy")
            for how, label in (("capture", "whole"), ("without peaks", "without its peaks, for comparison")):
                wall = (walls[how], f"{walls[how] * 1000:,.0f} ms")
                yield ratio(f"capture of {name}, {label}", wall, copied, 1.35, at_least=False)
        short, long = transfers(1, 300, port)["peak_mib"], taken["460 MB"]["peak_mib"]
        yield Figure(
            "memory, 5 minutes to 4 hours",
            f"{long:.0f} MiB",
            f"{short:.0f} MiB at 5 minutes",
            long - short,
            16,
            at_least=False,
        )
