"""The kind of audio, by its bytes: a platform's Content-Type is only a claim, and ffmpeg is told, not left to guess."""

from __future__ import annotations

from typing import Literal

Kind = Literal["wav", "mp3", "ogg", "flac"]
CONTENT_TYPES: dict[Kind, str] = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac"}
HEAD_BYTES = 4096  # two frames of the largest MP3 fit

_MPEG1_KBIT = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBIT = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_HZ = (44100, 48000, 32000)
_SHRINK = {3: 1, 2: 2, 0: 4}  # header's version bits -> MPEG 1, 2, 2.5


def sniff(head: bytes) -> Kind | None:
    """The kind of audio that starts with `head`, or None. Give it `HEAD_BYTES`, or all there are."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:3] == b"ID3" or _mp3_frames(head):
        return "mp3"
    return None


def looks_like_text(head: bytes) -> bool:
    """Whether this is an error page (HTML, XML, JSON, plain words) and not some unknown kind of audio."""
    start = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in {b"<", b"{", b"["} or all(byte >= 0x20 or byte in b"\t\r\n" for byte in start)  # noqa: PLR2004 -- space


def _mp3_frames(head: bytes) -> bool:
    """Two frames in a row, as far as `head` reaches: one sync word alone is found in any noise."""
    length = _mp3_frame_bytes(head)
    return length is not None and (len(head) < length + 4 or _mp3_frame_bytes(head[length:]) is not None)


def _mp3_frame_bytes(frame: bytes) -> int | None:
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:  # noqa: PLR2004 -- MPEG sync
        return None
    version, layer = frame[1] >> 3 & 3, frame[1] >> 1 & 3
    kbit, rate, padding = frame[2] >> 4, frame[2] >> 2 & 3, frame[2] >> 1 & 1
    if version not in _SHRINK or layer != 1 or kbit in {0, 15} or rate == 3:  # noqa: PLR2004 -- reserved values
        return None
    first = version == 3  # noqa: PLR2004 -- MPEG 1
    table, per_kbit = (_MPEG1_KBIT, 144_000) if first else (_MPEG2_KBIT, 72_000)
    return per_kbit * table[kbit] // (_MPEG1_HZ[rate] // _SHRINK[version]) + padding
