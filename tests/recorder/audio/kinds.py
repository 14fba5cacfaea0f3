"""One sound in every kind of file we take."""

from __future__ import annotations

import struct

from tests.recorder.sounds import encoded, speechlike, wav


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
