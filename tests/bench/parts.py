"""What single parts cost: sealing and opening beside the bare cipher, peaks beside an encoder."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import storage.objects
from recorder.audio import ffmpeg
from recorder.audio.peaks import Peaks
from recorder.audio.wav import PcmFormat
from storage.container import FEED, HEAD, Opener, Sealer
from tests.bench.figures import Figure, alternated, ratio
from tests.bench.media import BLOCK, FRAME, RATE, block

MEBIBYTE = bytes(1 << 20)
MEGABYTES = 64
MINUTES = 30  # of sound; what peaks and encoders take grows with it
ROUNDS = 11


def figures() -> Iterator[Figure]:
    yield from _sealing()
    yield _peaks()


def _sealing() -> Iterator[Figure]:
    """Both ways beside AES-256-GCM over 1 MiB at a time, whose messages can be opened only as a whole."""
    dek, plain = secrets.token_bytes(32), memoryview(MEBIBYTE)
    whole = b"".join(map(bytes, _sealed(dek, plain)))
    opener, stop = Opener(dek, b"bench", whole[:HEAD], len(whole)), MEGABYTES << 20

    def bare() -> float:
        cipher, started = AESGCM(dek), time.perf_counter()
        for number in range(MEGABYTES):
            cipher.encrypt(number.to_bytes(12, "big"), MEBIBYTE, None)
        return time.perf_counter() - started

    def sealed() -> float:
        started = time.perf_counter()
        for _ in _sealed(dek, plain):
            pass
        return time.perf_counter() - started

    def opened() -> float:
        started, view = time.perf_counter(), memoryview(whole)[HEAD:]
        opening = opener.opening(0, stop)
        for at in range(0, len(view), storage.objects.BLOCK):
            opening.feed(view[at : at + storage.objects.BLOCK], reuse=True)
        opening.finish()
        return time.perf_counter() - started

    theirs, sealing, opening = alternated(ROUNDS, bare, sealed, opened)
    for name, ours, limit in (("sealing", sealing, 0.5), ("opening", opening, None)):
        yield ratio(
            f"{name}, one core",
            (stop / 1e6 / ours, f"{stop / 1e6 / ours:,.0f} MB/s"),
            (stop / 1e6 / theirs, f"{stop / 1e6 / theirs:,.0f} MB/s AES-256-GCM over 1 MiB"),
            limit,
            at_least=True,
        )


def _sealed(dek: bytes, plain: memoryview) -> Iterator[bytes | memoryview]:
    """What comes out of the sealer; each piece overwrites the one before."""
    sealer = Sealer(dek, b"bench")
    for _ in range(MEGABYTES):
        for at in range(0, len(plain), FEED):
            yield sealer.update(plain[at : at + FEED])
    yield sealer.finalize()


def _peaks() -> Figure:
    pcm, sound = PcmFormat(RATE, FRAME // 2), block()
    blocks = MINUTES * 60 * RATE * FRAME // BLOCK

    def drawn() -> float:
        started, peaks = time.perf_counter(), Peaks(pcm)
        for _ in range(blocks):
            peaks.feed(sound)
        peaks.finish()
        return time.perf_counter() - started

    def encoded() -> float:
        shape = ["-f", "s16le", "-ar", str(RATE), "-ac", str(pcm.channels), "-i", "pipe:0", "-c:a", "libopus"]
        command = [ffmpeg(), "-v", "quiet", "-threads", "1", *shape, "-b:a", "24k", "-f", "ogg", "-y", "/dev/null"]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert process.stdin is not None
        for _ in range(blocks):
            process.stdin.write(sound)
        process.stdin.close()
        if process.wait():
            raise SystemExit("ffmpeg did not encode")
        return time.perf_counter() - started

    theirs, ours = alternated(3, encoded, drawn)
    return ratio(
        f"peaks of {MINUTES} minutes",
        (ours, f"{ours * 1000:,.0f} ms"),
        (theirs, f"{theirs * 1000:,.0f} ms to encode them as Opus"),
        0.03,
    )
