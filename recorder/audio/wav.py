"""RIFF/WAVE read as it streams by: header first, then sound as 16-bit samples. Handles plaintext audio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recorder.errors import AudioError, AudioTruncatedError, AudioUnsupportedError

PCM, EXTENSIBLE = 1, 0xFFFE
MAX_HEADER_BYTES = 1 << 20
HEADER_BITE = 4096
MAX_CHANNELS = 8  # as many as FLAC holds
RATES = range(1_000, 384_001)
STREAMED_BYTES = 0x7FFF_0000  # sizes from here on mean unknown: the writer could not seek back
WIDTHS = {8: 1, 16: 2, 24: 3, 32: 4}
# PCM, float, A-law, mu-law, ADPCM of several makers, GSM: each sample comes out where it went in.
UNDELAYED = frozenset({PCM, 0x02, 0x03, 0x06, 0x07, 0x10, 0x11, 0x17, 0x20, 0x31, 0x40, 0x45, 0x64})


@dataclass(frozen=True)
class PcmFormat:
    """How samples lie in a stream of signed 16-bit little-endian PCM."""

    rate: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class _Layout:
    tag: int
    channels: int
    rate: int
    block: int
    bits: int

    @property
    def is_pcm(self) -> bool:
        return self.tag == PCM and self.bits in WIDTHS and self.block == self.channels * WIDTHS[self.bits]


class WavReader:
    """Feed it a WAV file's bytes in any pieces; it hands back the sound as 16-bit PCM.

    The format is known once `ready`. Where `pcm` is false (mu-law and others) the sound needs a decoder: then, and
    without `decodes`, no sound is handed back and only the declared length is watched. `finish` raises
    `AudioTruncatedError` where the file says that it is longer.
    """

    def __init__(self, *, decodes: bool = True) -> None:
        self._decodes = decodes
        self._pending = bytearray()
        self._layout: _Layout | None = None
        self._left: int | None = None  # bytes of sound still to come; None: until the end
        self._in_data = False
        self._passed = 12  # RIFF header
        self._rest = b""

    @property
    def ready(self) -> bool:
        return self._in_data

    @property
    def pcm(self) -> bool:
        return self._layout is not None and self._layout.is_pcm

    @property
    def measured(self) -> bool:
        """Whether the file says how much sound it holds; known once it is `ready`."""
        return self._left is not None

    @property
    def delayed(self) -> bool:
        """Whether a decoder may bring its sound out later than it was said: MP3 comes in WAV files too."""
        return self._layout is not None and self._layout.tag not in UNDELAYED

    @property
    def format(self) -> PcmFormat:
        assert self._layout is not None  # noqa: S101 -- callers wait for `ready`
        return PcmFormat(self._layout.rate, self._layout.channels)

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Sound contained in `data`, whole frames only; empty while the header is being read."""
        sound = memoryview(data)
        while not self._in_data and sound:  # in small bites: what follows the header is not copied
            bite = min(HEADER_BITE, MAX_HEADER_BYTES - len(self._pending))
            if not bite:
                raise AudioError("the WAV header does not end")
            self._pending += sound[:bite]
            sound = sound[bite:]
            if self._read_header():
                sound = memoryview(data)[len(data) - len(sound) - len(self._pending) :]
                self._pending = bytearray()
        return self._take(sound) if self._in_data else b""

    def finish(self) -> None:
        """Say that the file has ended."""
        self.check_header()
        if (self._left or 0) > 0:
            raise AudioTruncatedError

    def check_header(self) -> None:
        if not self._in_data:
            raise AudioTruncatedError

    def _read_header(self) -> bool:
        """Consume chunks up to the sound; False where more bytes are needed."""
        position = self._passed
        while len(self._pending) >= position + 8:
            name, size = bytes(self._pending[position : position + 4]), _u32(self._pending, position + 4)
            if name == b"data":
                if self._layout is None:
                    raise AudioError("the WAV file has no format")
                self._left = None if size == 0 or size >= STREAMED_BYTES else size
                self._in_data = True
                del self._pending[: position + 8]
                return True
            if len(self._pending) < position + 8 + size:
                break
            if name == b"fmt ":
                self._layout = _layout(bytes(self._pending[position + 8 : position + 8 + size]))
            position += 8 + size + size % 2
        self._passed = position
        return False

    def _take(self, data: bytes | memoryview) -> bytes | memoryview:
        if self._left is not None:
            data = memoryview(data)[: self._left]
            self._left -= len(data)
        if not self._decodes or not self.pcm or self._layout is None:
            return b""
        if self._rest:
            data = self._rest + bytes(data)
        whole = len(data) - len(data) % self._layout.block
        self._rest = bytes(data[whole:])
        return to_16_bit(data[:whole], self._layout.bits)


def to_16_bit(sound: bytes | memoryview, bits: int) -> bytes | memoryview:
    """Integer PCM of any width as 16 bit; 16 bit passes uncopied."""
    if bits == 16:  # noqa: PLR2004 -- the common case
        return sound
    raw = np.frombuffer(sound, np.uint8)
    if bits == 8:  # noqa: PLR2004 -- unsigned, unlike the others
        return ((raw.astype("<i2") - 128) << 8).astype("<i2").tobytes()
    width = bits // 8
    return raw.reshape(-1, width)[:, width - 2 :].tobytes()


def _layout(chunk: bytes) -> _Layout:
    if len(chunk) < 16:  # noqa: PLR2004 -- WAVEFORMAT
        raise AudioError("the WAV format is cut short")
    tag = int.from_bytes(chunk[0:2], "little")
    if tag == EXTENSIBLE and len(chunk) >= 26:  # noqa: PLR2004 -- where its sub-format starts
        tag = int.from_bytes(chunk[24:26], "little")
    channels, rate = int.from_bytes(chunk[2:4], "little"), _u32(chunk, 4)
    block, bits = int.from_bytes(chunk[12:14], "little"), int.from_bytes(chunk[14:16], "little")
    if not 1 <= channels <= MAX_CHANNELS or rate not in RATES or block == 0:
        raise AudioUnsupportedError
    return _Layout(tag, channels, rate, block, bits)


def _u32(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
