"""Whether a file is all there, as far as its own format can say: half a call must never pass for a whole one."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.audio.sniff import Kind
from recorder.audio.wav import WavReader
from recorder.errors import AudioError, AudioTruncatedError

TAIL_BYTES = 2 * 65_307  # the last Ogg page lies in here
OGG_HEADER_BYTES, OGG_LAST_PAGE = 27, 4
UNFILLED_FRAMES = 4800  # the decoder leaves gaps of less than this open
XING_LATEST = 36  # bytes from an MP3 frame's start to its Xing tag, at most
FLAC_SAMPLES_MASK = (1 << 36) - 1


class Wholeness:
    """Feed it the file's bytes as they pass; `check` raises `AudioTruncatedError` where the end is missing.

    It raises `AudioError` where so much is missing inside that the decoder could not fill it with silence.
    """

    def __init__(self, kind: Kind, head: bytes) -> None:
        self._kind = kind
        self._head = head
        self._received = 0
        self._tail = b""
        self._wav = WavReader(decodes=False)

    def feed(self, data: bytes) -> None:
        self._received += len(data)
        if self._kind == "wav":
            self._wav.feed(data)
        elif self._kind == "ogg":
            self._tail = (self._tail + data)[-TAIL_BYTES:]

    @property
    def measured(self) -> bool:
        """Whether the file says how long it is.

        An MP3 without an index, and WAV and FLAC written into a pipe, do not: cut off after any frame, they still look
        whole. For them the declared length of the transfer and the announced duration are all there is to go by.
        """
        match self._kind:
            case "wav":
                return self._wav.measured
            case "flac":
                return _flac_frames(self._head) > 0
            case "mp3":
                return _xing_bytes(self._head) > 0
        return True

    def check(self, frames: int) -> None:
        """`frames` is how many the decoder found."""
        match self._kind:
            case "wav":
                self._wav.finish()
            case "ogg" if not _ogg_ends(self._tail):
                raise AudioTruncatedError
            case "ogg" if frames + UNFILLED_FRAMES < _ogg_frames(self._head, self._tail):
                raise AudioError("a gap in the audio is too long to be filled")
            case "flac" if frames < _flac_frames(self._head):
                raise AudioTruncatedError
            case "mp3" if self._received < _xing_bytes(self._head):
                raise AudioTruncatedError


def _flac_frames(head: bytes) -> int:
    """How many frames a FLAC file says it has; 0 where it does not say."""
    return int.from_bytes(head[18:26], "big") & FLAC_SAMPLES_MASK


def _ogg_ends(tail: bytes) -> bool:
    page = _last_page(tail)
    if len(page) < OGG_HEADER_BYTES or not page[5] & OGG_LAST_PAGE:
        return False
    segments = page[26]
    lengths = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + segments]
    return len(page) >= OGG_HEADER_BYTES + segments + sum(lengths)


def _ogg_frames(head: bytes, tail: bytes) -> int:
    """How many frames an Ogg file says it has after its first page of sound; 0 where it is several streams in a row."""
    last = _last_page(tail)
    first = next((page for page in _pages(head) if _frames_until(page) > 0), last)
    return _frames_until(last) - _frames_until(first) if _stream(first) == _stream(last) else 0


def _last_page(tail: bytes) -> bytes:
    return tail[tail.rfind(b"OggS\0") :]  # with its version: the four letters alone come up in sound too


def _pages(data: bytes) -> Iterator[bytes]:
    """For each page, `data` from its beginning on."""
    while data[:4] == b"OggS" and len(data) >= OGG_HEADER_BYTES:
        yield data
        body = OGG_HEADER_BYTES + data[26]
        data = data[body + sum(data[OGG_HEADER_BYTES:body]) :]


def _frames_until(page: bytes) -> int:
    """The frames up to the end of an Ogg page, as it says itself; negative where it does not say."""
    return int.from_bytes(page[6:14], "little", signed=True)


def _stream(page: bytes) -> bytes:
    return page[14:18]


def _id3_bytes(head: bytes) -> int:
    """How long the tag before an MP3's first frame is (ID3v2 §3.1). It is skipped: a title may well say "Info"."""
    if head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 127
    return 10 + size


def _xing_bytes(head: bytes) -> int:
    """How many bytes an MP3 says it has; 0 where it does not say."""
    first = _id3_bytes(head)
    within = first, first + XING_LATEST + len(b"Xing")
    at = max(head.find(b"Xing", *within), head.find(b"Info", *within))
    flags = int.from_bytes(head[at + 4 : at + 8], "big") if at >= 0 else 0
    if not flags & 2:
        return 0
    start = at + 8 + 4 * (flags & 1)
    return first + int.from_bytes(head[start : start + 4], "big")
