"""The renditions of one pass through the real parts, in memory, or why there are none; nothing is mocked."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from recorder.audio import Cut, Limits, Produced, Rendition, produce, read_peaks_header
from recorder.audio.peaks import HEADER_BYTES
from recorder.errors import AudioEmptyError, AudioError, AudioTruncatedError

LIMITS = Limits(max_seconds=5 * 3600, timeout_s=60)


class Kept:
    """The renditions of one pass, in memory."""

    def __init__(self, data: bytes, cut: Cut | None = None, *, step: int = 100_000, limits: Limits = LIMITS) -> None:
        self.sinks: dict[str, io.BytesIO] = {}
        self.types: dict[str, str] = {}
        self.produced: Produced = produce(pieces(data, step), cut=cut, open_sinks=self._open, limits=limits)

    def _open(self, wanted: Mapping[Rendition, str]) -> dict[Rendition, io.BytesIO]:
        assert self.sinks == {}
        self.types.update(wanted)
        self.sinks.update({rendition: io.BytesIO() for rendition in wanted})
        return {rendition: self.sinks[rendition] for rendition in wanted}

    def __getitem__(self, rendition: str) -> bytes:
        return self.sinks[rendition].getvalue()

    def peaks(self) -> np.ndarray:
        header = read_peaks_header(self["peaks"])
        return np.frombuffer(self["peaks"][HEADER_BYTES:], np.int8).reshape(-1, header.channels, 2)


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


def refused(data: bytes, **options: object) -> type[AudioError]:
    opened: list[str] = []

    def open_sinks(wanted: Mapping[Rendition, str]) -> dict[Rendition, io.BytesIO]:
        opened.extend(wanted)
        return {rendition: io.BytesIO() for rendition in wanted}

    with pytest.raises(AudioError) as error:
        produce(pieces(data, 50_000), cut=None, open_sinks=open_sinks, limits=LIMITS, **options)  # type: ignore[arg-type] -- test options
    if not isinstance(error.value, (AudioTruncatedError, AudioEmptyError)):
        assert opened == [] or type(error.value) is AudioError
    return type(error.value)
