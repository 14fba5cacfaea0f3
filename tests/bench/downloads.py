"""A decrypted download against plain ones and the store's own, and the first byte in the middle of four hours.

The cost of a sealed range is measured beside boto3's own range request, in one process. What a listener waits for, with
each range admitted anew, is measured over HTTP.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from storage.container import Opener, Sealer, sealed_size
from storage.objects_s3 import S3Store
from storage.vault import SealedReader, SealedWriter
from tests.bench.figures import Figure, alternated, ratio
from tests.bench.media import FRAME, RATE, media_server
from tests.bench.places import Place, places
from tests.bench.serving import serving
from tests.servers.ports import free_port

MEGABYTES = 20
SHORT, LONG = 300, 4 * 3600
RANGE = 65536  # bytes a player asks for
BUFFER = bytearray(1 << 20)
BY_ITSELF = {"AIOHTTP_NOSENDFILE": "1"}  # nginx shows what a file costs that the kernel sends


def get(port: int, path: str, token: str = "", span: str = "") -> tuple[float, float, int]:
    """Seconds to the first body byte, seconds to the last, and how many bytes came."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
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
def nginx() -> Iterator[tuple[int, Path]]:
    """nginx serving a folder, one worker; gives its port and the folder."""
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place), free_port()
        with _nginx(folder, port):
            yield port, folder


@contextmanager
def _nginx(folder: Path, port: int) -> Iterator[None]:
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
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def recordings(place: Place) -> Iterator[tuple[int, str, dict[int, str]]]:
    """A serving process with recordings of three lengths: its port, a DPO's token, their ids by seconds."""
    environment = os.environ | place.settings | place.credentials
    lengths = (MEGABYTES * 1_000_000 // (RATE * FRAME), SHORT, LONG)
    with media_server() as media, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.library", folder, str(media), *map(str, lengths)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            port, token, *ids = process.stdout.readline().split()
            yield int(port), token, dict(zip(lengths, ids, strict=True))
        finally:
            process.kill()
            process.wait()


def figures() -> Iterator[Figure]:
    for place in places():
        with recordings(place) as (port, token, ids), nginx() as (plain, folder):
            library = Library(port, token, ids)
            with on_the_other_core():
                if place.gateway is None:
                    yield from against_nginx(library, plain, folder)
                else:
                    yield from against_the_store(library, place)
                    yield a_range(place)
                yield from in_the_middle(library, place)


@contextmanager
def on_the_other_core() -> Iterator[None]:
    """Ask from another core than the one that our server, or the nginx it is compared with, runs on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Library:
    """A serving process and what there is to be heard."""

    port: int
    token: str
    ids: dict[int, str]

    @property
    def lengths(self) -> list[int]:
        return list(self.ids)

    def get(self, seconds: int, span: str = "") -> tuple[float, float, int]:
        path = f"/v1/recordings/{self.ids[seconds]}/audio?purpose=access&rendition=original"
        return get(self.port, path, self.token, span)

    def first(self, seconds: int, share: float) -> float:
        """Seconds to the first byte of a range that begins at that share of a recording."""
        return self.get(seconds, span(seconds, share))[0]


def span(seconds: int, share: float) -> str:
    start = int(seconds * RATE * FRAME * share)
    return f"{start}-{start + RANGE - 1}"


def against_nginx(library: Library, plain: int, folder: Path) -> Iterator[Figure]:
    whole = library.lengths[0]
    size = library.get(whole)[2]
    (folder / "plain").write_bytes(bytes(size))
    with relaying(folder / "plain") as other:
        theirs, aiohttps, ours = alternated(
            31, lambda: get(plain, "/plain")[1], lambda: get(other, "/file")[1], lambda: library.get(whole)[1]
        )
    yield faster(size, ours, theirs, "nginx, plain file", 0.65)
    yield faster(size, ours, aiohttps, "aiohttp, plain file, not by the kernel", 1.0)


def against_the_store(library: Library, place: Place) -> Iterator[Figure]:
    """Compare with the same sealed bytes, fetched from the store by the same client and not opened."""
    whole = library.lengths[0]
    size = library.get(whole)[2]
    direct = {seconds: address(place, seconds) for seconds in (whole, LONG)}
    port = urlsplit(place.settings["RECORDER_STORE__ENDPOINT_URL"]).port or 80
    with relaying(Path("plain"), place, plain_object(place, size)) as other:
        theirs, relayed, ours = alternated(
            31, lambda: get(port, direct[whole])[1], lambda: get(other, "/object")[1], lambda: library.get(whole)[1]
        )
    yield faster(size, ours, theirs, "direct S3 GET", 0.75)
    yield faster(size, ours, relayed, "relayed from S3 as they are", 0.95)
    middle = span(LONG, 0.5)
    theirs, ours = alternated(41, lambda: get(port, direct[LONG], span=middle)[0], lambda: library.first(LONG, 0.5))
    yield ratio(
        "first byte over HTTP, middle of 4 h from S3",
        (ours, f"{ours * 1000:.1f} ms, let in anew"),
        (theirs, f"{theirs * 1000:.1f} ms, a signed address that asks nobody"),
        None,
    )


def plain_object(place: Place, size: int) -> str:
    """The key of an object as long as the download."""
    assert place.gateway is not None
    place.gateway.client().put_object(Bucket=place.bucket, Key="bench/plain", Body=bytes(size))
    return "bench/plain"


def relaying(path: Path, place: Place | None = None, key: str = "") -> AbstractContextManager[int]:
    """Somebody who passes plain bytes on to anybody, on the core that our server has; gives the port."""
    if place is None:
        return serving("relays", str(path), environment=os.environ | BY_ITSELF)
    named = [place.settings[f"RECORDER_STORE__{name}"] for name in ("ENDPOINT_URL", "REGION")]
    environment = os.environ | place.credentials
    return serving("relays", str(path), *named, place.bucket, key, environment=environment)


def a_range(place: Place) -> Figure:
    """The first bytes of a range in the middle of 4 hours, read by our reader and by plain boto3."""
    assert place.gateway is not None
    os.environ.update(place.credentials)
    endpoint, region = (place.settings[f"RECORDER_STORE__{name}"] for name in ("ENDPOINT_URL", "REGION"))
    store, client = S3Store(place.bucket, endpoint_url=endpoint, region=region), place.gateway.client()
    dek, context, key = secrets.token_bytes(32), b"bench", "bench/range"
    writer = SealedWriter(store.create(key, {}), Sealer(dek, context))
    for _ in range(LONG * RATE * FRAME // len(BUFFER)):
        writer.write(BUFFER)
    sealed = writer.commit()
    reader = SealedReader(store, key, Opener(dek, context, sealed.head, sealed.sealed_bytes))
    middle = reader.size // 2

    def ours() -> float:
        started = time.perf_counter()
        next(reader.read(middle, middle + RANGE))
        return time.perf_counter() - started

    def theirs() -> float:
        started = time.perf_counter()
        answer = client.get_object(Bucket=place.bucket, Key=key, Range=f"bytes={middle}-{middle + RANGE - 1}")
        answer["Body"].read(RANGE)
        return time.perf_counter() - started

    raw, opened = alternated(101, theirs, ours)
    return ratio(
        "a sealed range, middle of 4 h from S3",
        (opened, f"{opened * 1000:.1f} ms"),
        (raw, f"{raw * 1000:.1f} ms, boto3's range GET"),
        1.5,
    )


def address(place: Place, seconds: int) -> str:
    """A signed path at which anybody may fetch the sealed original of that length."""
    assert place.gateway is not None
    client = place.gateway.client()
    sealed = range(sealed_size(seconds * RATE * FRAME), sealed_size(seconds * RATE * FRAME + 4096) + 1)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket)
    (key,) = [one["Key"] for page in pages for one in page.get("Contents", ()) if one["Size"] in sealed]
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": place.bucket, "Key": key}))
    return f"{url.path}?{url.query}"


def in_the_middle(library: Library, place: Place) -> Iterator[Figure]:
    early, middle, short = alternated(
        41, lambda: library.first(LONG, 0.01), lambda: library.first(LONG, 0.5), lambda: library.first(SHORT, 0.5)
    )
    for seconds, name in ((early, "its start"), (short, "5 minutes")):
        yield ratio(
            f"first byte, middle of 4 h beside {name}, {place.name}",
            (middle, f"{middle * 1000:.1f} ms"),
            (seconds, f"{seconds * 1000:.1f} ms"),
            1.25,
        )


def faster(size: int, ours: float, theirs: float, what: str, limit: float) -> Figure:
    mb = size / 1e6
    return ratio(
        f"download of {mb:.0f} MB",
        (mb / ours, f"{mb / ours:,.0f} MB/s decrypted"),
        (mb / theirs, f"{mb / theirs:,.0f} MB/s {what}"),
        limit,
        at_least=True,
    )
