"""Everything made of a recording's sound: takes PCM, cuts it, and feeds the encoders. Handles plaintext audio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
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


# Opens the renditions named, with their content types, all at once.
OpenSinks = Callable[[Mapping[Rendition, str]], Mapping[Rendition, Sink]]


class HashingSink:
    """Passes bytes on, and knows how many they were and their SHA-256."""

    def __init__(self, sink: Sink) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._sink = sink

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._sink.write(data)


class Outputs:
    """What is made of the sound: always peaks; with a cut, `flac`, the original of what it keeps; on demand, an MP3.

    Without a cut the sinks are open already; with one they are opened when the first sound is kept.
    """

    def __init__(
        self,
        sinks: Mapping[Rendition, Sink] | OpenSinks,
        *,
        deadline: float,
        max_seconds: int,
        cut: Cut | None,
        lag: int,
        playback: bool,
    ) -> None:
        self._sinks = sinks
        self._deadline = deadline
        self._max_seconds = max_seconds
        self._cut = cut
        self._lag = lag
        self._playback = playback
        self._cutter: Cutter | None = None
        self._peaks: tuple[Peaks, Sink] | None = None
        self._encoders: list[tuple[Coder, Sink]] = []
        self.flac: HashingSink | None = None
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
        sinks = self._sinks if isinstance(self._sinks, Mapping) else self._sinks(self._made_of_sound())
        peaks, sink = self._peaks = Peaks(pcm), sinks["peaks"]
        sink.write(peaks.header)
        if self._cut is not None:
            self.flac = HashingSink(sinks["original"])
            self._encoders.append((flac_encoder(pcm, self._deadline), self.flac))
        if self._playback:
            self._encoders.append((mp3_encoder(pcm, self._deadline), sinks["playback"]))
        return peaks, sink

    def _made_of_sound(self) -> dict[Rendition, str]:
        return {"original": CONTENT_TYPES["flac"], "playback": CONTENT_TYPES["mp3"], "peaks": PEAKS_TYPE}
