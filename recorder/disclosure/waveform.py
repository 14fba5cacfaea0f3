"""The outline of a recording as a few bars per channel, to be drawn. Handles plaintext audio. Pure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from recorder.audio import read_peaks_header
from recorder.audio.peaks import HEADER_BYTES

BARS = 120
QUIETEST = 0.02  # silence is drawn too, as a thin line


def bars(peaks: bytes, count: int = BARS) -> list[list[float]]:
    """Per channel `count` heights between 0 and 1, the loudest being 1. Raises `AudioError` for what are no peaks."""
    header = read_peaks_header(peaks)
    width = 2 * header.channels
    body = np.frombuffer(peaks, np.int8, offset=HEADER_BYTES)
    points = body[: len(body) - len(body) % width].reshape(-1, header.channels, 2).astype(np.int16)
    if not len(points):
        return [[QUIETEST] * count for _ in range(header.channels)]
    heights = np.maximum(points[:, :, 1], -points[:, :, 0])
    edges = np.linspace(0, len(points), count + 1).astype(int)
    loudest = max(int(heights.max()), 1)
    lanes = [
        [int(heights[first : max(last, first + 1), channel].max()) / loudest for first, last in pairwise(edges)]
        for channel in range(header.channels)
    ]
    return [[max(QUIETEST, min(1.0, height)) for height in lane] for lane in lanes]
