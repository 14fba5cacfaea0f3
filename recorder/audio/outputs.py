"""Everything made of a recording's sound: takes PCM, cuts it, and feeds the encoders. Handles plaintext audio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, Protocol

from recorder.audio.coder import Coder, flac_encoder, mp3_encoder
from recorder.audio.cut import Cut, Cutter
from recorder.audio.peaks import CONTENT_TYPE as PEAKS_TYPE
from recorder.audio.peaks import Peaks
from recorder.audio.sniff import CONTENT_TYPES
from recorder.audio.wav import PcmFormat
from recorder.errors import AudioTooLongError

Rendition = Literal["original", "playback", "peaks"]
TOLERANCE_S = 1  # codecs pad their last frame


class Sink(Protocol):
    """Where a rendition's bytes go."""

    def write(self, data: bytes) -> object: ...


OpenSink = Callable[[Rendition, str], Sink]


class HashingSink:
    """The original's sink, opened at its first byte."""

    def __init__(self, open_sink: OpenSink, content_type: str) -> None:
        self.content_type = content_type
        self.size = 0
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        if self._sink is None:
            self._sink = self._open_sink("original", self.content_type)
        self._hash.update(data)
        self.size += len(data)
        self._sink.write(data)

    def digest(self) -> bytes:
        return self._hash.digest()


class Outputs:
    """Peaks always; FLAC into `flac_to` where that is given; MP3 where `playback` is wanted."""

    def __init__(
        self,
        open_sink: OpenSink,
        *,
        deadline: float,
        max_seconds: int,
        cut: Cut | None,
        lag: int,
        flac_to: HashingSink | None,
        playback: bool,
    ) -> None:
        self._open_sink = open_sink
        self._deadline = deadline
        self._max_seconds = max_seconds
        self._cut = cut
        self._lag = lag
        self._flac_to = flac_to
        self._playback = playback
        self._cutter: Cutter | None = None
        self._peaks: tuple[Peaks, Sink] | None = None
        self._encoders: list[tuple[Coder, Sink]] = []
        self.received = 0  # frames
        self.kept = 0

    def take(self, window: bytes | memoryview, pcm: PcmFormat) -> None:
        """The next window of sound, whole frames."""
        if self._cut is not None and self._cutter is None:
            self._cutter = Cutter(self._cut, pcm, self._lag)
        self.received += len(window) // pcm.frame_bytes
        if self.received > (self._max_seconds + TOLERANCE_S) * pcm.rate:
            raise AudioTooLongError
        for piece in [window] if self._cutter is None else self._cutter.feed(window):
            self.kept += len(piece) // pcm.frame_bytes
            self._keep(piece, pcm)

    def finish(self) -> None:
        """Write what the peaks and the encoders still hold."""
        if self._peaks is not None:
            peaks, sink = self._peaks
            sink.write(peaks.finish())
        for encoder, sink in self._encoders:
            for data in encoder.finish():
                sink.write(data)

    def close(self) -> None:
        for encoder, _ in self._encoders:
            encoder.close()

    def _keep(self, piece: bytes | memoryview, pcm: PcmFormat) -> None:
        peaks, sink = self._peaks or self._open(pcm)
        sink.write(peaks.feed(piece))
        for encoder, sink in self._encoders:
            for data in encoder.feed(piece):
                sink.write(data)

    def _open(self, pcm: PcmFormat) -> tuple[Peaks, Sink]:
        peaks, sink = self._peaks = Peaks(pcm), self._open_sink("peaks", PEAKS_TYPE)
        sink.write(peaks.header)
        if self._flac_to is not None:
            self._encoders.append((flac_encoder(pcm, self._deadline), self._flac_to))
        if self._playback:
            target = self._open_sink("playback", CONTENT_TYPES["mp3"])
            self._encoders.append((mp3_encoder(pcm, self._deadline), target))
        return peaks, sink
