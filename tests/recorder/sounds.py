"""Sound made for tests, as WAV, or by the real ffmpeg in any other kind."""

from __future__ import annotations

import struct
import subprocess
from random import Random

import numpy as np

from recorder.audio import ffmpeg

RATE = 8000


def speechlike(seconds: float, channels: int = 2, rate: int = RATE) -> np.ndarray:
    """A sound in which every sample tells where it stands: slow sweeps, different per channel."""
    t = np.arange(int(seconds * rate)) / rate
    rows = [np.sin(2 * np.pi * (200 + 150 * c) * t * (1 + t / 60)) * 12000 * (1 - 0.3 * c) for c in range(channels)]
    return np.stack(rows, axis=1).astype("<i2")


def silence(seconds: int, channels: int = 2) -> np.ndarray:
    return np.zeros((seconds * RATE, channels), "<i2")


def noise(chance: Random, seconds: int, channels: int = 2) -> np.ndarray:
    """A sound that is nobody else's."""
    return np.frombuffer(chance.randbytes(2 * channels * seconds * RATE), "<i2").reshape(-1, channels)


def wav(
    samples: np.ndarray, rate: int = RATE, *, size: int | None = None, before: bytes = b"", after: bytes = b""
) -> bytes:
    data, channels = samples.tobytes(), samples.shape[1]
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVE" + before + fmt + struct.pack("<4sI", b"data", len(data) if size is None else size) + data + after
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def encoded(samples: np.ndarray, *arguments: str, rate: int = RATE) -> bytes:
    return subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-f", "s16le", "-ar", str(rate), "-ac", str(samples.shape[1]), "-i", "-",
         *arguments, "-"],
        input=samples.tobytes(), stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip


def decoded(data: bytes, kind: str, *arguments: str) -> np.ndarray:
    done = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-f", kind, "-i", "-", *arguments, "-f", "s16le", "-"],
        input=data, capture_output=True, check=True,
    )  # fmt: skip
    return np.frombuffer(done.stdout, "<i2")
