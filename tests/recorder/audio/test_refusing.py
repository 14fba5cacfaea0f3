"""What is not audio, not whole, too long or not to be trusted is refused, each under its own name."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace

import pytest

from recorder.audio import Limits, ffmpeg
from recorder.errors import (
    AudioEmptyError,
    AudioError,
    AudioNotReadyError,
    AudioTooLongError,
    AudioTruncatedError,
    AudioUnsupportedError,
)
from tests.recorder.audio.kinds import KINDS, SOUND, with_sizes
from tests.recorder.audio.renditions import LIMITS, Kept, refused
from tests.recorder.sounds import RATE, wav


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", AudioNotReadyError),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", AudioNotReadyError),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", AudioNotReadyError),
        (b'{"status": 404}', AudioNotReadyError),
        (b"Not found\n", AudioNotReadyError),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(5000), AudioUnsupportedError),
        (b"\xff\xf1\x50\x80" + bytes(5000), AudioUnsupportedError),
        (b"\xff\xfb\x90\x00" + bytes(range(256)) * 20, AudioUnsupportedError),
        (b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(5000), AudioUnsupportedError),
        (wav(SOUND)[:30], AudioTruncatedError),
        (wav(SOUND)[:-2], AudioTruncatedError),
        (wav(SOUND, size=SOUND.nbytes + 2), AudioTruncatedError),
        (with_sizes(KINDS["mu-law"][0])[:-100], AudioTruncatedError),
        (KINDS["opus"][0][:20], AudioTruncatedError),
        (KINDS["opus"][0][:5000], AudioTruncatedError),
        (KINDS["opus"][0][:-100], AudioTruncatedError),
        (KINDS["opus"][0][: len(KINDS["opus"][0]) // 2], AudioTruncatedError),
        (wav(SOUND[:0]), AudioEmptyError),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd", AudioError),
        (b"RIFF\x00\x00\x00\x00WAVEfmt \x02\x00\x00\x00\x01\x00" + bytes(4096), AudioError),
        (b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\x7f" + bytes(3_000_000), AudioError),
        (wav(SOUND).replace(struct.pack("<HH", 1, 2), struct.pack("<HH", 1, 0), 1), AudioUnsupportedError),
        (wav(SOUND).replace(struct.pack("<I", RATE), struct.pack("<I", 0), 1), AudioUnsupportedError),
        (b"OggS" + bytes(5000), AudioTruncatedError),
        (b"fLaC" + bytes(5000), AudioError),
        (b"ID3\x03\x00\x00\x00\x00\x00\x00" + bytes(5000), AudioError),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,  # an Ogg file is never the same
)
def test_what_is_not_audio_is_refused(data: bytes, error: type[AudioError]) -> None:
    assert refused(data) is error


def test_a_flac_shorter_than_it_says_is_truncated() -> None:
    seekable = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-f", "wav", "-i", "-", "-f", "flac", "-"],
        input=wav(SOUND), capture_output=True, check=True,
    ).stdout  # fmt: skip
    told = bytearray(seekable)
    told[21:26] = (int.from_bytes(told[21:26], "big") & ~((1 << 36) - 1) | len(SOUND)).to_bytes(5, "big")
    assert Kept(bytes(told)).produced.frames == len(SOUND)
    for size in (100, 5000, len(told) * 2 // 3):
        assert refused(bytes(told[:size])) is AudioTruncatedError


def test_an_mp3_shorter_than_its_index_says_is_truncated() -> None:
    data = bytearray(KINDS["mp3-bare"][0])
    header = bytes(data[:4])
    frame = header + bytes(9) + b"Xing" + struct.pack(">III", 3, 90, len(data) + 288)
    indexed = frame.ljust(288, b"\0") + bytes(data)
    assert Kept(indexed, limits=replace(LIMITS, least_ms=60_000))["original"] == indexed, "it says that it is whole"
    for missing in (1000, 1):
        assert refused(indexed[:-missing]) is AudioTruncatedError


CANNOT_TELL = {
    "mp3": (KINDS["mp3-bare"][0], KINDS["mp3-bare"][0][: 40 * 288]),
    "wav of a pipe": (wav(SOUND, size=0xFFFF_FFFF), wav(SOUND[: 3 * RATE], size=0xFFFF_FFFF)),
    "flac of a pipe": (KINDS["flac"][0], KINDS["flac"][0][: len(KINDS["flac"][0]) // 2]),
}


@pytest.mark.parametrize("name", CANNOT_TELL)
def test_what_cannot_say_that_it_is_cut_short_is_held_against_what_was_announced(name: str) -> None:
    """An MP3 without an index that ends after any of its frames is a whole MP3."""
    whole, half = CANNOT_TELL[name]
    assert RATE < Kept(half).produced.frames < 3.5 * RATE

    with pytest.raises(AudioTruncatedError):
        Kept(half, limits=replace(LIMITS, least_ms=4000))
    assert Kept(whole, limits=replace(LIMITS, least_ms=6400)).produced.frames >= len(SOUND)


@pytest.mark.parametrize("name", ["pcm", "opus", "mu-law"])
def test_what_says_itself_that_it_is_whole_is_believed(name: str) -> None:
    """Announcements are rounded, or wrong."""
    data = with_sizes(KINDS[name][0]) if name == "mu-law" else KINDS[name][0]
    assert Kept(data, limits=replace(LIMITS, least_ms=60_000))["original"] == data


def test_too_long_is_refused_at_the_limit() -> None:
    assert Kept(wav(SOUND), limits=Limits(max_seconds=6, timeout_s=60)).produced.frames == len(SOUND)
    for name in ("pcm", "opus", "mp3"):
        with pytest.raises(AudioTooLongError):
            Kept(KINDS[name][0], limits=Limits(max_seconds=5, timeout_s=60))


def test_a_playlist_is_not_followed_by_the_decoder() -> None:
    """Told its demuxer and denied every protocol, ffmpeg reads nothing but its pipe."""
    for playlist in (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        assert refused(playlist) is AudioNotReadyError
