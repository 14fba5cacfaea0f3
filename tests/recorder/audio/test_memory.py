"""Memory does not grow with the call: 4 hours take what 5 minutes take. Each length runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GROWTH_MIB = 16

# Prints the peak of the process's own memory in MiB; ffmpeg is another process, and bounded by itself.
SCRIPT = """
import struct, sys
import numpy as np
from recorder.audio import Cut, Limits, produce

class Nowhere:
    def write(self, data): pass

def call(seconds):
    block = np.random.default_rng(1).normal(0, 2000, 1 << 17).astype("<i2").tobytes()
    size = seconds * 32_000
    yield b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 8000, 32000, 4, 16)
    yield b"data" + struct.pack("<I", size)
    while size > 0:
        yield block[:size]
        size -= len(block)

cut = Cut(((1500, 1 << 40),), ((4000, 9000),)) if sys.argv[2] == "cut" else None
produced = produce(
    call(int(sys.argv[1])),
    cut=cut,
    open_sinks=lambda wanted: {rendition: Nowhere() for rendition in wanted},
    limits=Limits(max_seconds=5 * 3600, timeout_s=600),
)
assert produced.duration_ms == int(sys.argv[1]) * 1000 - (1500 if cut else 0)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def peak_mib(seconds: int, how: str) -> float:
    command = [sys.executable, "-c", SCRIPT, str(seconds), how]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=300)
    return int(done.stdout) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
@pytest.mark.parametrize("hours", [4, 5])
def test_memory_is_the_same_for_hours_as_for_minutes(hours: int) -> None:
    assert peak_mib(hours * 3600, "whole") - peak_mib(300, "whole") <= GROWTH_MIB


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_memory_is_the_same_when_hours_are_cut_and_encoded() -> None:
    assert peak_mib(4 * 3600, "cut") - peak_mib(300, "cut") <= GROWTH_MIB
