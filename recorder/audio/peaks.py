"""The outline of a recording, for drawing it: smallest and largest sample of every fiftieth of a second.

Format (docs/peaks.md), little-endian: `PEAK`, u8 version 1, u8 channels, u16 zero, u32 sample rate, u32 frames per
point; then per point and channel one signed byte smallest, one largest (the upper half of the 16-bit sample).
Handles plaintext audio.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from recorder.audio.wav import PcmFormat
from recorder.errors import AudioError

POINTS_PER_SECOND = 50
CONTENT_TYPE = "application/octet-stream"
_HEADER = struct.Struct("<4sBBHII")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True)
class PeaksHeader:
    channels: int
    rate: int
    frames_per_point: int


class Peaks:
    """Feed it PCM; it hands back the peaks' bytes."""

    def __init__(self, pcm: PcmFormat) -> None:
        self._channels = pcm.channels
        self._frames = max(1, pcm.rate // POINTS_PER_SECOND)
        self._point_bytes = self._frames * pcm.frame_bytes
        self._rest = b""
        self.header = _HEADER.pack(b"PEAK", 1, pcm.channels, 0, pcm.rate, self._frames)

    def feed(self, sound: bytes | memoryview) -> bytes:
        sound = memoryview(sound)
        begun = b""
        if self._rest:
            missing = self._point_bytes - len(self._rest)
            self._rest += bytes(sound[:missing])
            sound = sound[missing:]
            if len(self._rest) < self._point_bytes:
                return b""
            begun = self._points(self._rest, self._frames)
        whole = len(sound) - len(sound) % self._point_bytes
        self._rest = bytes(sound[whole:])
        return begun + self._points(sound[:whole], self._frames)

    def finish(self) -> bytes:
        """The last point, made of what is left."""
        frames = len(self._rest) // (2 * self._channels)
        return self._points(self._rest, frames) if frames else b""

    def _points(self, sound: bytes | memoryview, frames: int) -> bytes:
        starts = np.arange(0, len(sound) // (2 * self._channels), frames)
        points = np.empty((len(starts), self._channels, 2), np.int8)
        for channel, (samples, shift) in enumerate(_lanes(sound, self._channels)):
            points[:, channel, 0] = np.minimum.reduceat(samples, starts) >> shift
            points[:, channel, 1] = np.maximum.reduceat(samples, starts) >> shift
        return points.tobytes()


def _lanes(sound: bytes | memoryview, channels: int) -> list[tuple[np.ndarray, int]]:
    """Each channel's samples side by side, and how far to shift one to leave its upper byte.

    Side by side they are compared at the full width of the processor. Two channels need not be picked apart for that:
    a frame read as one 32-bit number has its second sample in the upper half, which decides the comparison, and its
    first in the lower.
    """
    if channels == 2:  # noqa: PLR2004 -- a call's two sides
        both = np.frombuffer(sound, "<i4")
        return [(both.astype("<i2"), 8), (both, 24)]
    frames = np.frombuffer(sound, "<i2").reshape(-1, channels)
    return [(np.ascontiguousarray(frames[:, channel]), 8) for channel in range(channels)]


def read_header(data: bytes) -> PeaksHeader:
    """What the first `HEADER_BYTES` of the peaks say. Raises `AudioError`."""
    if len(data) < HEADER_BYTES:
        raise AudioError("the peaks have no header")
    magic, version, channels, _, rate, frames = _HEADER.unpack_from(data)
    if magic != b"PEAK" or version != 1:
        raise AudioError("the peaks are of an unknown format")
    return PeaksHeader(channels, rate, frames)
