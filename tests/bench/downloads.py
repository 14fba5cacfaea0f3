"""A decrypted download against nginx, and the first byte in the middle of four hours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Figure, alternated, ratio
from tests.bench.media import FRAME, RATE, media_server

MEGABYTES = 20
SHORT, LONG = 300, 4 * 3600
BUFFER = bytearray(1 << 20)


def get(port: int, path: str, token: str = "", span: str = "") -> tuple[float, float, int]:
    """Seconds to the first body byte, seconds to the last, and how many bytes came."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Range: bytes={span}"] if span else []
    with socket.create_connection(("127.0.0.1", port)) as peer:
        started = time.perf_counter()
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(65536)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206")):
            raise SystemExit(head.split(b"\r\n")[0].decode())
        size = len(head.partition(b"\r\n\r\n")[2])
        if not size:
            size = peer.recv_into(BUFFER)
        first = time.perf_counter() - started
        while received := peer.recv_into(BUFFER):
            size += received
        return first, time.perf_counter() - started, size


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """nginx serving a folder, one worker; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        f"user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 64; }\n"
        f"http {{ sendfile on; access_log off; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen(["taskset", "-c", "0", binary, "-c", str(config), "-p", str(folder)])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def recordings() -> Iterator[tuple[int, str, dict[int, str]]]:
    """A serving process with recordings of three lengths: its port, a DPO's token, their ids by seconds."""
    lengths = (MEGABYTES * 1_000_000 // (RATE * FRAME), SHORT, LONG)
    with media_server() as media, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.library", folder, str(media), *map(str, lengths)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        try:
            port, token, *ids = process.stdout.readline().split()
            yield int(port), token, dict(zip(lengths, ids, strict=True))
        finally:
            process.kill()
            process.wait()


def figures() -> Iterator[Figure]:
    with recordings() as (port, token, ids), tempfile.TemporaryDirectory() as folder:
        lengths = list(ids)
        paths = {seconds: f"/v1/recordings/{ids[seconds]}/audio?purpose=access&rendition=original" for seconds in ids}
        whole = paths[lengths[0]]
        size = get(port, whole, token)[2]
        Path(folder, "plain").write_bytes(bytes(size))
        with nginx(Path(folder)) as plain:
            theirs, ours = alternated(15, lambda: get(plain, "/plain")[1], lambda: get(port, whole, token)[1])
        mb = size / 1e6
        yield ratio(
            f"download of {mb:.0f} MB",
            (mb / ours, f"{mb / ours:,.0f} MB/s decrypted"),
            (mb / theirs, f"{mb / theirs:,.0f} MB/s nginx, plain file"),
            0.6,
            at_least=True,
        )

        def first(seconds: int, share: float, length: int = 65536) -> float:
            start = int(seconds * RATE * FRAME * share)
            return get(port, paths[seconds], token, f"{start}-{start + length - 1}")[0]

        early, middle, short = alternated(
            41, lambda: first(LONG, 0.01), lambda: first(LONG, 0.5), lambda: first(SHORT, 0.5)
        )
        yield ratio(
            "first byte, middle of 4 h beside its start",
            (middle, f"{middle * 1000:.1f} ms"),
            (early, f"{early * 1000:.1f} ms"),
            1.25,
            at_least=False,
        )
        yield ratio(
            "first byte, middle of 4 h beside 5 minutes",
            (middle, f"{middle * 1000:.1f} ms"),
            (short, f"{short * 1000:.1f} ms"),
            1.25,
            at_least=False,
        )
