"""A platform's media server for the bench: `/wav/SECONDS` streams a two-channel 8 kHz call of that length."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy

FRAME = 4  # two channels of 16 bits
RATE = 8000
BLOCK = 1 << 18


def header(data_bytes: int) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 2, RATE, RATE * FRAME, FRAME, 16)
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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    noise = block()

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        size = int(self.path.split("/")[2].split(".")[0]) * RATE * FRAME
        self.send_response(200)
        self.send_header("Content-Type", "audio/x-wav")
        self.send_header("Content-Length", str(size + 44))
        self.end_headers()
        self.wfile.write(header(size))
        while size > 0:
            part = self.noise[:size]
            self.wfile.write(part)
            size -= len(part)


@contextmanager
def media_server() -> Iterator[int]:
    """Serve in a process of its own; gives its port."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.media"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
