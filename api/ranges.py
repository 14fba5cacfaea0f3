"""`Range` of RFC 9110 §14, and the sending of what it asks for. Handles plaintext audio.

aiohttp's own `request.http_range` raises on several ranges at once; here they are answered with the whole, which the
RFC allows. A body that fails its check half way, or whose reader may no longer listen, ends in a dropped connection:
the length promised in the header is not reached, so nobody takes the piece for the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator, Iterator
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
    batches = Batches(request, reader, wanted)
    try:
        # Opened before the status is sent: what cannot be read at all is an error, not a broken body.
        first = await batches.next()
        await response.prepare(request)
        await _send(request, response, first, batches, recheck)
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
    """A reader's pieces a MiB at a time, each MiB read in the pool while the one before is being sent."""

    def __init__(self, request: web.Request, reader: Reader, wanted: Slice) -> None:
        self._request = request
        self._iterator = reader.read(wanted.start, wanted.stop) if wanted.stop > wanted.start else iter(())
        self._ended = False
        self._ahead: asyncio.Future[tuple[list[Piece], bool]] | None = None

    async def next(self) -> list[Piece]:
        """The next pieces, none at the end."""
        if self._ended:
            return []
        pieces, self._ended = await (self._ahead or self._read())
        self._ahead = None if self._ended else self._read()
        return pieces

    async def close(self) -> None:
        """Let go of the object, whatever was read of it."""
        if self._ahead is not None:
            with suppress(RecorderError):
                await self._ahead
        if not self._ended and isinstance(self._iterator, Generator):
            await run(self._request, self._iterator.close)

    def _read(self) -> asyncio.Future[tuple[list[Piece], bool]]:
        return asyncio.ensure_future(run(self._request, _gather, self._iterator))


def _gather(iterator: Iterator[Piece]) -> tuple[list[Piece], bool]:
    """A MiB of pieces, and whether they were the last."""
    pieces, size = [], 0
    for piece in iterator:
        pieces.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            return pieces, False
    return pieces, True


class Watch:
    """Asks every 30 s of the service's clock whether this stream may go on, also while its client reads nothing."""

    def __init__(self, request: web.Request, recheck: Callable[[datetime], None] | None) -> None:
        self._request = request
        self._recheck = recheck
        self._clock = request.app[SERVICE].clock
        self._checked_at = self._clock()
        self.sent = 0

    async def check(self) -> None:
        now = self._clock()
        if self._recheck is not None and now - self._checked_at >= RECHECK:
            self._checked_at = now
            await run(self._request, self._recheck, now)

    async def guard(self) -> None:
        """Runs beside the sending, which may hang on a client that does not read; drops the connection."""
        stalled, sent = 0.0, self.sent
        while stalled < STALL_SECONDS:
            await asyncio.sleep(RECHECK.total_seconds())
            stalled, sent = (stalled + RECHECK.total_seconds() if sent == self.sent else 0.0), self.sent
            try:
                await self.check()
            except RecorderError as exc:
                log.warning("stream.aborted", code=exc.code)
                break
        _abort(self._request)


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    batch: list[Piece],
    batches: Batches,
    recheck: Callable[[datetime], None] | None,
) -> None:
    watch = Watch(request, recheck)
    guard = asyncio.create_task(watch.guard())
    try:
        while batch:
            await watch.check()
            for piece in batch:
                await response.write(piece)
                watch.sent += 1
            batch = await batches.next()
        await response.write_eof()
    except ConnectionError:
        raise  # the client went away; aiohttp knows what to do
    except RecorderError as exc:
        log.warning("stream.aborted", code=exc.code)
        _abort(request)
    except BaseException:
        _abort(request)
        raise
    finally:
        guard.cancel()


def _abort(request: web.Request) -> None:
    """Drop the connection without ending the body."""
    if request.transport is not None:
        request.transport.abort()
