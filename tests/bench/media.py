"""A platform's media server for the bench: two-channel 8 kHz calls of any length, streamed.

`/wav/SECONDS` is PCM; `/ulaw/SECONDS` is mu-law, which browsers do not play.
"""

from __future__ import annotations

import struct
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy

from tests.bench.serving import serving

FRAME = 4  # two channels of 16 bits
RATE = 8000
BLOCK = 1 << 18
PCM, MU_LAW = (1, 2), (7, 1)  # format tag, bytes a sample


def header(data_bytes: int, kind: tuple[int, int] = PCM) -> bytes:
    tag, width = kind
    fmt = struct.pack("<HHIIHH", tag, 2, RATE, RATE * 2 * width, 2 * width, 8 * width)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + data_bytes)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + (b"data" + struct.pack("<I", data_bytes))
    )


def block() -> bytes:
    """Speech-like noise, the same in every run."""
    samples = numpy.random.default_rng(7).normal(0, 2000, BLOCK // 2)
    return samples.astype("<i2").tobytes()


def mu_law() -> bytes:
    """The same loudness in mu-law: the sign, and the quieter half of the magnitudes."""
    drawn = numpy.random.default_rng(7).integers(0x20, 0x80, (2, BLOCK), numpy.uint8)
    return (drawn[0] | (drawn[1] & 1) << 7).tobytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sounds: ClassVar = {"wav": (PCM, block()), "ulaw": (MU_LAW, mu_law())}

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        _, name, seconds = self.path.split("/")
        kind, noise = self.sounds[name]
        size = int(seconds) * RATE * 2 * kind[1]
        self.send_response(200)
        self.send_header("Content-Type", "audio/x-wav")
        self.send_header("Content-Length", str(size + 44))
        self.end_headers()
        self.wfile.write(header(size, kind))
        while size > 0:
            part = noise[:size]
            self.wfile.write(part)
            size -= len(part)


def media_server() -> AbstractContextManager[int]:
    """Serve in a process of its own; gives its port."""
    return serving("media")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
