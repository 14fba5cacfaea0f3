"""Renditions from real audio of every kind, made and judged by the real ffmpeg; nothing is mocked."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recorder.audio import Cut, Limits, Produced, Rendition, coder, ffmpeg, produce, read_peaks_header, sniff
from recorder.audio.coder import mp3_encoder
from recorder.audio.peaks import HEADER_BYTES
from recorder.audio.wav import PcmFormat
from recorder.consent.spans import UNTIL_END
from recorder.errors import (
    AudioEmptyError,
    AudioError,
    AudioNotReadyError,
    AudioTimeoutError,
    AudioTooLongError,
    AudioTruncatedError,
    AudioUnsupportedError,
)

RATE = 8000
LIMITS = Limits(max_seconds=5 * 3600, timeout_s=60)


def speechlike(seconds: float, channels: int = 2, rate: int = RATE) -> np.ndarray:
    """A sound in which every sample tells where it stands: slow sweeps, different per channel."""
    t = np.arange(int(seconds * rate)) / rate
    rows = [np.sin(2 * np.pi * (200 + 150 * c) * t * (1 + t / 60)) * 12000 * (1 - 0.3 * c) for c in range(channels)]
    return np.stack(rows, axis=1).astype("<i2")


def wav(
    samples: np.ndarray, rate: int = RATE, *, size: int | None = None, before: bytes = b"", after: bytes = b""
) -> bytes:
    data, channels = samples.tobytes(), samples.shape[1]
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVE" + before + fmt + struct.pack("<4sI", b"data", len(data) if size is None else size) + data + after
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def encoded(samples: np.ndarray, *arguments: str, rate: int = RATE) -> bytes:
    return subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-f", "s16le", "-ar", str(rate), "-ac", str(samples.shape[1]), "-i", "-",
         *arguments, "-"],
        input=samples.tobytes(), stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip


def decoded(data: bytes, kind: str, *arguments: str) -> np.ndarray:
    done = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-f", kind, "-i", "-", *arguments, "-f", "s16le", "-"],
        input=data, capture_output=True, check=True,
    )  # fmt: skip
    return np.frombuffer(done.stdout, "<i2")


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


def with_sizes(streamed: bytes) -> bytes:
    """A WAV file as a writer makes it that can seek back, from one made by a pipe."""
    at = streamed.index(b"data") + 4
    sizes = struct.pack("<I", len(streamed) - 8), struct.pack("<I", len(streamed) - at - 4)
    return streamed[:4] + sizes[0] + streamed[8:at] + sizes[1] + streamed[at + 4 :]


SOUND = speechlike(6.5)
MONO = speechlike(6.5, 1)
KINDS = {
    "pcm": (wav(SOUND), "audio/wav", False, 2),
    "mono": (wav(MONO), "audio/wav", False, 1),
    "8-bit": (encoded(SOUND, "-c:a", "pcm_u8", "-f", "wav"), "audio/wav", False, 2),
    "24-bit": (encoded(SOUND, "-c:a", "pcm_s24le", "-f", "wav"), "audio/wav", False, 2),
    "mu-law": (encoded(MONO, "-c:a", "pcm_mulaw", "-f", "wav"), "audio/wav", True, 1),
    "a-law": (encoded(SOUND, "-c:a", "pcm_alaw", "-f", "wav"), "audio/wav", True, 2),
    "float": (encoded(SOUND, "-c:a", "pcm_f32le", "-f", "wav"), "audio/wav", True, 2),
    "mp3": (encoded(SOUND, "-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"), "audio/mpeg", False, 2),
    "mp3-bare": (
        encoded(MONO, "-c:a", "libmp3lame", "-b:a", "32k", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"),
        "audio/mpeg", False, 1,
    ),
    "opus": (encoded(SOUND, "-c:a", "libopus", "-b:a", "24k", "-f", "ogg"), "audio/ogg", True, 2),
    "flac": (encoded(SOUND, "-c:a", "flac", "-f", "flac"), "audio/flac", True, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_whole_audio_is_kept_as_received(name: str) -> None:
    data, content_type, playback, channels = KINDS[name]
    kept = Kept(data)
    assert kept["original"] == data
    assert kept.produced.sha256 == hashlib.sha256(data).digest()
    assert kept.produced.size_bytes == len(data)
    assert kept.produced.content_type == kept.types["original"] == content_type
    assert kept.produced.channels == channels
    assert kept.produced.duration_ms == pytest.approx(6500, abs=300 if "mp3" in name else 10)
    assert ("playback" in kept.sinks) is playback
    if playback:
        sound = decoded(kept["playback"], "mp3")
        assert kept.types["playback"] == "audio/mpeg"
        assert sniff(kept["playback"]) == "mp3"
        assert np.abs(sound).max() > 8000
    peaks = kept.peaks()
    assert peaks.shape[1] == channels
    assert len(peaks) == pytest.approx(325, abs=15)
    assert peaks[20:300, 0, 0].max() < -35
    assert peaks[20:300, 0, 1].min() > 35


def test_peaks_are_the_extremes_of_each_point() -> None:
    kept = Kept(wav(SOUND), step=777)
    header = read_peaks_header(kept["peaks"])
    assert (header.channels, header.rate, header.frames_per_point) == (2, RATE, RATE // 50)
    points = SOUND.reshape(-1, 160, 2)
    assert (kept.peaks()[:, :, 0] == points.min(axis=1) >> 8).all()
    assert (kept.peaks()[:, :, 1] == points.max(axis=1) >> 8).all()


@pytest.mark.parametrize("name", ["8-bit", "24-bit"])
def test_other_widths_draw_the_same_outline(name: str) -> None:
    difference = Kept(KINDS[name][0]).peaks().astype(int) - Kept(wav(SOUND)).peaks().astype(int)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("step", [1, 13, 44, 4096, 10_000_000])
def test_the_header_may_come_in_any_pieces(step: int) -> None:
    short = speechlike(0.2)
    junk = struct.pack("<4sI", b"LIST", 7) + b"seventh" + b"\0"
    data = wav(short, before=junk, after=struct.pack("<4sI", b"id3 ", 3) + b"abc\0")
    kept = Kept(data, step=step)
    assert kept["original"] == data
    assert kept.produced.frames == len(short)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_streamed_wav_without_a_length_is_read_to_its_end(size: int) -> None:
    assert Kept(wav(SOUND, size=size)).produced.frames == len(SOUND)


def test_wave_format_extensible_is_pcm() -> None:
    fmt = struct.pack("<HHIIHHHHIH", 0xFFFE, 2, RATE, RATE * 4, 4, 16, 22, 16, 3, 1) + bytes.fromhex(
        "000000001000800000aa00389b71"
    )
    body = (
        b"WAVE"
        + struct.pack("<4sI", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", SOUND.nbytes)
        + SOUND.tobytes()
    )
    kept = Kept(struct.pack("<4sI", b"RIFF", len(body)) + body)
    assert "playback" not in kept.sinks
    assert kept.produced.frames == len(SOUND)


SPANS = (((1001, 2503), (4000, 5000)), ((2100, 2200), (4990, 6000)))


def expected(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """The spans by another way: a mask over time, a sample counting only if all of it lies inside."""
    start, end = np.arange(len(samples)) * 1000, np.arange(1, len(samples) + 1) * 1000
    keep = np.zeros(len(samples), bool)
    for first, last in SPANS[0]:
        keep |= (start >= first * rate) & (end <= last * rate)
    sound = samples.copy()
    for first, last in SPANS[1]:
        sound[(end > first * rate) & (start < last * rate)] = 0
    return sound[keep]


@pytest.mark.parametrize("rate", [8000, 11025])
@pytest.mark.parametrize("step", [999, 250_000])
def test_p1_a_cut_is_exact_to_the_sample_on_all_channels(rate: int, step: int) -> None:
    samples = speechlike(6.5, rate=rate)
    kept = Kept(wav(samples, rate), Cut(*SPANS), step=step)
    wanted = expected(samples, rate)
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == wanted).all()
    assert kept.produced.frames == len(wanted)
    assert kept.produced.content_type == "audio/flac"
    assert kept.produced.sha256 == hashlib.sha256(kept["original"]).digest()
    assert kept.produced.received_sha256 == hashlib.sha256(wav(samples, rate)).digest()
    assert sorted(kept.sinks) == ["original", "peaks", "playback"]


@pytest.mark.parametrize("rate", [1000, 6000, 7350, 10_000, 20_000, 44_100])
def test_p6_a_rate_that_mp3_does_not_have_is_played_all_the_same(rate: int) -> None:
    samples = speechlike(6.5, rate=rate)
    kept = Kept(wav(samples, rate), Cut(*SPANS))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == expected(samples, rate)).all()
    heard = decoded(kept["playback"], "mp3", "-ar", str(RATE)).reshape(-1, 2)
    assert len(heard) / RATE == pytest.approx(2.5, abs=0.3)
    assert np.abs(heard).max() > 8000


@pytest.mark.parametrize(("channels", "speaks"), [(3, 2), (4, 3), (6, 3), (8, 3), (8, 7)])
def test_p6_whoever_speaks_on_any_channel_is_heard_in_the_playback(channels: int, speaks: int) -> None:
    samples = np.zeros((2 * RATE, channels), "<i2")
    samples[:, speaks] = speechlike(2, 1)[:, 0]
    kept = Kept(wav(samples), Cut(((0, 1500),)))
    assert (decoded(kept["original"], "flac").reshape(-1, channels) == samples[: 3 * RATE // 2]).all()
    assert np.abs(decoded(kept["playback"], "mp3")).max() > 12000 / channels


def test_p1_a_cut_of_a_decoded_kind_is_exact_too() -> None:
    kept = Kept(KINDS["flac"][0], Cut(*SPANS))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == expected(SOUND)).all()


def test_p1_an_mp3_keeps_nothing_from_before_the_consent() -> None:
    """Loud before the consent, silent after: whatever the codec's delay, nothing loud may be left."""
    samples = speechlike(6, 1)
    samples[3 * RATE :] = 0
    for name in ("0", "1"):
        data = encoded(samples, "-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", name, "-f", "mp3")
        kept = Kept(data, Cut(((3000, 6000),)))
        sound = decoded(kept["original"], "flac")
        assert 2.5 * RATE < len(sound) < 3 * RATE
        assert np.abs(sound).max() < 200


@pytest.mark.parametrize(("codec", "container"), [("libmp3lame", "wav"), ("mp2", "wav"), ("libspeex", "ogg")])
def test_p1_a_codec_that_delays_keeps_nothing_from_before_the_consent_in_any_container(
    codec: str, container: str
) -> None:
    if codec not in subprocess.run([ffmpeg(), "-encoders"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("not every ffmpeg writes Speex")
    samples = speechlike(6, 1, 16_000)
    samples[3 * 16_000 :] = 0
    kept = Kept(encoded(samples, "-c:a", codec, "-f", container, rate=16_000), Cut(((3000, UNTIL_END),)))
    sound = decoded(kept["original"], "flac")
    assert 2.5 < len(sound) / 16_000 < 3.1
    assert np.abs(sound).max() < 200
    assert kept.produced.lag_ms > 100


def with_gap(seconds: float, codec: str = "libopus") -> bytes:
    """`SOUND` in Ogg, with so much left out after three seconds as a recorder leaves out what did not come."""
    return encoded(SOUND, "-af", rf"asetpts=PTS+gte(T\,3)*{seconds}/TB", "-c:a", codec, "-f", "ogg")


@pytest.mark.parametrize("codec", ["libopus", "flac"])
@pytest.mark.parametrize("seconds", [0.06, 5, 25])
def test_p1_what_follows_a_gap_of_an_ogg_file_stays_where_it_was_said(codec: str, seconds: float) -> None:
    data, gap = with_gap(seconds, codec), round(seconds * 1000)
    assert Kept(data).produced.duration_ms == pytest.approx(6500 + gap, abs=10)
    kept = Kept(data, Cut(((0, 3000 + gap),)))
    for rendition, kind in (("original", "flac"), ("playback", "mp3")):
        sound = decoded(kept[rendition], kind, "-ar", str(RATE)).reshape(-1, 2)
        assert np.abs(sound[: 3 * RATE]).max() > 8000
        assert len(sound) / RATE == pytest.approx(3 + seconds, abs=0.4)
        assert seconds < 1 or np.abs(sound[4 * RATE :]).max() < 200


def test_p1_a_gap_too_long_to_be_filled_is_refused() -> None:
    assert refused(with_gap(4 * 3600)) is AudioError


def test_p6_an_ogg_file_whose_time_goes_too_slowly_is_kept_all_the_same() -> None:
    data = encoded(SOUND, "-af", "asetpts=PTS/3", "-c:a", "libopus", "-page_duration", "20000", "-f", "ogg")
    assert Kept(data).produced.duration_ms == pytest.approx(6500, abs=100)


def test_p1_a_cut_that_keeps_nothing_writes_nothing() -> None:
    kept = Kept(wav(SOUND), Cut(((7000, 9000),)))
    assert kept.produced.frames == 0
    assert kept.sinks == {}


def test_overlapping_spans_keep_a_sample_once() -> None:
    kept = Kept(wav(SOUND), Cut(((1000, 3000), (2000, 2500), (2900, 4000))))
    assert (decoded(kept["original"], "flac").reshape(-1, 2) == SOUND[RATE : 4 * RATE]).all()


def test_muting_alone_keeps_the_time_line() -> None:
    kept = Kept(wav(SOUND), Cut(((0, 6500),), ((2000, 3000),)))
    sound = decoded(kept["original"], "flac").reshape(-1, 2)
    assert len(sound) == len(SOUND)
    assert not sound[2 * RATE : 3 * RATE].any()
    assert (sound[: 2 * RATE] == SOUND[: 2 * RATE]).all()
    assert (sound[3 * RATE :] == SOUND[3 * RATE :]).all()


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


def test_a_decoder_that_takes_too_long_is_killed() -> None:
    with pytest.raises(AudioTimeoutError):
        Kept(KINDS["opus"][0], limits=Limits(max_seconds=100, timeout_s=0))


def test_a_decoder_that_gives_all_and_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped, or starved by its neighbours, between its last byte and its end."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec 0<&- 1>&-\nexec /bin/sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(coder, "ffmpeg", lambda: str(program))
    with closing(coder.decoder("mp3", time.monotonic() + 0.5)) as decoder, pytest.raises(AudioTimeoutError):
        list(decoder.finish())


def test_a_playlist_is_not_followed_by_the_decoder() -> None:
    """Told its demuxer and denied every protocol, ffmpeg reads nothing but its pipe."""
    for playlist in (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        assert refused(playlist) is AudioNotReadyError


def test_what_a_source_raises_comes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield KINDS["opus"][0][:5000]
        raise AudioTimeoutError

    with pytest.raises(AudioTimeoutError):
        produce(
            broken(),
            cut=None,
            open_sinks=lambda wanted: {rendition: io.BytesIO() for rendition in wanted},
            limits=LIMITS,
        )


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux alone has this class")
def test_an_encoder_computes_when_nobody_else_would() -> None:
    with closing(mp3_encoder(PcmFormat(channels=2, rate=8000), time.monotonic() + 10)) as encoder:
        assert os.sched_getscheduler(encoder._process.pid) == os.SCHED_IDLE


@pytest.mark.parametrize("title", ["Call 81", "Call Info: Bo Hansen", "Xing: Oslo"])
def test_p6_the_words_of_a_tag_are_no_index_of_an_mp3(title: str) -> None:
    text = b"\0" + title.encode()
    frame = b"TIT2" + struct.pack(">I", len(text)) + b"\0\0" + text
    tag = b"ID3\3\0\0\0\0\0" + bytes([len(frame)]) + frame
    sound = encoded(
        speechlike(3, 1), "-c:a", "libmp3lame", "-b:a", "32k", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"
    )
    assert Kept(tag + sound).produced.frames > 2.9 * RATE
