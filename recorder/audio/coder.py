"""ffmpeg as a thing bytes go through: no thread, no file, no network, no environment, and never for ever.

Handles plaintext audio. The caller pushes bytes in and takes what has come out in the same call, so neither pipe can
fill up and stop both sides.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence

import imageio_ffmpeg

from recorder.audio.sniff import Kind
from recorder.audio.wav import PcmFormat
from recorder.errors import AudioError, AudioTimeoutError

WINDOW_BYTES = 256 * 1024
PIPE_BYTES = 64 * 1024
MEMORY_BYTES = 1 << 30  # of address space; a decoder of speech needs a twentieth of it
OPEN_FILES = 32
NICENESS = 19
PLAYBACK_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000)  # MP3 has no others below; the last will do for speech
PLAYBACK_KBIT = 32  # per channel


@functools.cache
def ffmpeg() -> str:
    """The system's ffmpeg, or the one that came with the installation."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def decoder(kind: Kind, deadline: float, *, hertz: int | None = None) -> Coder:
    """`kind` in, a WAV stream of 16-bit PCM out, at its own rate unless told."""
    rate = ["-ar", str(hertz)] if hertz else []
    gaps = _GAPS_FILLED if kind == "ogg" else ()
    wav = ["-c:a", "pcm_s16le", "-f", "wav"]
    return Coder(["-f", kind, "-i", "pipe:0", "-map", "0:a:0", *gaps, *rate, *wav], deadline)


def flac_encoder(pcm: PcmFormat, deadline: float) -> Coder:
    return Coder([*_raw(pcm), "-c:a", "flac", "-f", "flac"], deadline)


def mp3_encoder(pcm: PcmFormat, deadline: float) -> Coder:
    """MP3 at a constant rate: a browser tells time by position, without an index we could not go back to write."""
    channels = min(pcm.channels, 2)
    hertz = next((hertz for hertz in PLAYBACK_HZ if hertz >= pcm.rate), PLAYBACK_HZ[-1])
    shape = [*_on_two_sides(pcm.channels), "-ar", str(hertz), "-b:a", f"{PLAYBACK_KBIT * channels}k"]
    return Coder(
        [*_raw(pcm), *shape, "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"], deadline
    )


def _on_two_sides(channels: int) -> list[str]:
    """Every other channel left, the rest right: ffmpeg would take a third one for the bass and leave it out."""
    if channels <= 2:  # noqa: PLR2004 -- left and right already
        return []
    sides = ["+".join(f"c{number}" for number in range(first, channels, 2)) for first in range(2)]
    return ["-af", f"pan=stereo|c0<{sides[0]}|c1<{sides[1]}"]


def _raw(pcm: PcmFormat) -> list[str]:
    return ["-f", "s16le", "-ar", str(pcm.rate), "-ac", str(pcm.channels), "-i", "pipe:0"]


class Coder:
    """One ffmpeg process. `feed` and `finish` must be read to their end; `close` always ends the process."""

    def __init__(self, arguments: Sequence[str], deadline: float) -> None:
        self._deadline = deadline
        self._process = subprocess.Popen(  # noqa: S603 -- our own arguments; input goes through the pipe only
            [ffmpeg(), *_COMMON, *arguments, *_IN_BLOCKS, "pipe:1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            process_group=0,
        )
        _limit(self._process.pid, deadline)
        assert self._process.stdin is not None  # noqa: S101 -- PIPE was asked for
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._output = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        for pipe, wanted in ((self._input, selectors.EVENT_WRITE), (self._output, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, wanted)

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Push `data` in; yields whatever comes out meanwhile."""
        left = memoryview(data)
        while left and not self._input.closed:
            ready = self._wait()
            if self._output in ready:
                yield from self._read()
            if self._input in ready:
                left = left[self._write(left[:PIPE_BYTES]) :]

    def finish(self) -> Iterator[bytes]:
        """End the input; yields the rest.

        Raises `AudioError` where ffmpeg did not accept what it was fed, and `AudioTimeoutError` past the deadline, as
        `feed` does.
        """
        self._end_input()
        while not self._output.closed:
            self._wait()
            yield from self._read()
        try:
            status = self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired as exc:
            raise AudioTimeoutError from exc
        if status != 0:
            raise AudioError("the audio cannot be decoded")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._selector.close()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._output.close()

    def _wait(self) -> list[object]:
        ready = [key.fileobj for key, _ in self._selector.select(max(0.0, self._deadline - time.monotonic()))]
        if time.monotonic() >= self._deadline:
            raise AudioTimeoutError
        return list(ready)

    def _read(self) -> Iterator[bytes]:
        data = os.read(self._output.fileno(), WINDOW_BYTES)
        if data:
            yield data
        else:
            self._end_input()
            self._selector.unregister(self._output)
            self._output.close()

    def _write(self, data: memoryview) -> int:
        if self._input.closed:  # the output has ended in this very round
            return len(data)
        try:
            return os.write(self._input.fileno(), data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            # It has read all it wants (trailing tags, for one); its exit code says whether that was well.
            self._end_input()
            return len(data)

    def _end_input(self) -> None:
        if not self._input.closed:
            self._selector.unregister(self._input)
            with contextlib.suppress(BrokenPipeError):
                self._input.close()


# A recorder that writes packets into Ogg leaves out those that never arrived; only the times on the pages show it. Here
# they become silence, however many, so that what follows stands where it was said. A page's time is ignored where more
# sound than that has come already.
_GAPS_FILLED = (
    *("-dts_delta_threshold", str(1 << 40)),
    *("-af", r"asetpts=max(PTS\,N/SR/TB),aformat=s16,aresample=async=1:min_hard_comp=0.01"),
)
_IN_BLOCKS = ("-flush_packets", "0")  # into a pipe it would write each packet, some hundred bytes, by itself
_COMMON = ("-nostdin", "-hide_banner", "-loglevel", "quiet", "-threads", "1", "-protocol_whitelist", "pipe")


def step_back(pid: int) -> None:
    """Let a process that was just started, and leads a group, run only when nothing else wants the processor.

    Linux lets even the nicest process finish its time slice before one that wakes up, unless it is of the idle class.
    """
    os.setpriority(os.PRIO_PGRP, pid, NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _limit(pid: int, deadline: float) -> None:
    """Bound a process that has not been given a byte yet; done from outside, since threads and fork do not mix."""
    seconds = max(1, int(deadline - time.monotonic()) + 1)
    with contextlib.suppress(ProcessLookupError):
        step_back(pid)
        if hasattr(resource, "prlimit"):  # Linux
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))
            resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))  # not one byte into any file
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
