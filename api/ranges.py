"""`Range` of RFC 9110 §14, and the sending of what it asks for. Handles plaintext audio.

aiohttp's own `request.http_range` raises on several ranges at once; here they are answered with the whole, which the
RFC allows. A body that fails its check half way, or whose reader may no longer listen, ends in a dropped connection:
the length promised in the header is not reached, so nobody takes the piece for the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from aiohttp import web
from multidict import CIMultiDict

from api.pools import run
from api.routing import SERVICE
from storage.errors import RecorderError

BATCH_BYTES = 1 << 20  # one hop to the thread pool per MiB: fewer hops cost latency, more cost throughput
RECHECK = timedelta(seconds=30)
STALL_SECONDS = 600  # a paused player keeps its connection this long; it comes back with a Range

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)

log = structlog.get_logger()


Piece = bytes | bytearray


class Reader(Protocol):
    """A sealed rendition: `read` decrypts only what it must and raises `IntegrityError` on the first bad chunk."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> Iterator[Piece]: ...


class UnsatisfiableError(ValueError):
    """The range lies outside the body."""


@dataclass(frozen=True)
class Slice:
    start: int
    stop: int


def parse(header: str | None, size: int) -> Slice | None:
    """The one range asked for, or None for the whole: absent, malformed and multiple ranges mean the whole.

    Raises `UnsatisfiableError` where the header is well formed and no byte of it exists.
    """
    match = _ONE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0).endswith("=-"):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None  # malformed by the RFC's own rule, so ignored
    if start >= stop:
        raise UnsatisfiableError
    return Slice(start, stop)


async def respond(
    request: web.Request,
    reader: Reader,
    content_type: str,
    *,
    filename: str | None = None,
    recheck: Callable[[datetime], None] | None = None,
    etag: str | None = None,
) -> web.StreamResponse:
    """Send all or one range: 200, 206 or 416.

    `recheck(now)` is called every 30 s, also while the client does not read, and ends the stream by raising.
    `filename` makes it a download; it must be plain ASCII without quotes. With `etag`, a broken download resumes
    (`If-Range`); it must be a random id's, never a hash of the audio.
    """
    headers = _headers(content_type, filename, etag)
    try:
        part = parse(_range_header(request, etag), reader.size)
    except UnsatisfiableError:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{reader.size}", "Accept-Ranges": "bytes"})
    response = web.StreamResponse(status=206 if part else 200, headers=headers)
    whole = Slice(0, reader.size)
    if part:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{reader.size}"
    wanted = part or whole
    response.content_length = wanted.stop - wanted.start
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    watch = Watch(request, recheck)
    # The first batch is opened before the status is sent: what cannot be read at all is an error, not a broken body.
    batches = Batches(request, reader, wanted)
    batch = await batches.next()
    await response.prepare(request)
    try:
        await _send(response, batches, batch, watch)
    except ConnectionError:
        raise  # the client went away; aiohttp knows what to do
    except (RecorderError, TimeoutError) as exc:
        log.warning("stream.aborted", code=getattr(exc, "code", "timeout"))
        _abort(request)
    except BaseException:
        _abort(request)
        raise
    finally:
        await batches.close()
    return response


def _headers(content_type: str, filename: str | None, etag: str | None) -> CIMultiDict[str]:
    headers = CIMultiDict({"Content-Type": content_type, "Accept-Ranges": "bytes"})
    if filename:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    if etag:
        headers["ETag"] = f'"{etag}"'
    return headers


def _range_header(request: web.Request, etag: str | None) -> str | None:
    condition = request.headers.get("If-Range")
    if condition is not None and condition != f'"{etag}"':
        return None
    return request.headers.get("Range")


class Batches:
    """A reader's bytes a MiB at a time, each read in the pool while the one before is being sent."""

    def __init__(self, request: web.Request, reader: Reader, wanted: Slice) -> None:
        self._request = request
        self._iterator = reader.read(wanted.start, wanted.stop) if wanted.stop > wanted.start else iter(())
        self._ahead: asyncio.Future[Piece] | None = None

    async def next(self) -> Piece:
        """The next bytes, empty at the end."""
        batch = await (self._ahead or self._read())
        self._ahead = self._read() if batch else None
        return batch

    async def close(self) -> None:
        if self._ahead is not None:
            with suppress(RecorderError):
                await self._ahead
        close = getattr(self._iterator, "close", None)
        if close is not None:
            await run(self._request, close)

    def _read(self) -> asyncio.Future[Piece]:
        return asyncio.ensure_future(run(self._request, _gather, self._iterator))


def _gather(iterator: Iterator[Piece]) -> Piece:
    pieces, size = [], 0
    for piece in iterator:
        pieces.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Watch:
    """Asks every 30 s of the service's clock whether this stream may go on."""

    def __init__(self, request: web.Request, recheck: Callable[[datetime], None] | None) -> None:
        self._request = request
        self._recheck = recheck
        self._clock = request.app[SERVICE].clock
        self._checked_at = self._clock()

    async def check(self) -> None:
        now = self._clock()
        if self._recheck is not None and now - self._checked_at >= RECHECK:
            await run(self._request, self._recheck, now)
            self._checked_at = now


async def _send(response: web.StreamResponse, batches: Batches, batch: Piece, watch: Watch) -> None:
    while batch:
        await watch.check()
        await _write(response, batch, watch)
        batch = await batches.next()
    await response.write_eof()


async def _write(response: web.StreamResponse, batch: Piece, watch: Watch) -> None:
    writing = asyncio.ensure_future(response.write(batch))
    try:
        for _ in range(int(STALL_SECONDS / RECHECK.total_seconds())):
            done, _pending = await asyncio.wait({writing}, timeout=RECHECK.total_seconds())
            if done:
                return writing.result()
            await watch.check()
        raise TimeoutError
    finally:
        writing.cancel()


def _abort(request: web.Request) -> None:
    """Drop the connection without ending the body."""
    if request.transport is not None:
        request.transport.abort()
