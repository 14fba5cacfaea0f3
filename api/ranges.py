"""`Range` of RFC 9110 §14, and the sending of what it asks for. Handles plaintext audio.

aiohttp's own `request.http_range` raises on several ranges at once; here they are answered with the whole, which the
RFC allows. A body that fails its check half way, or whose reader may no longer listen, ends in a dropped connection:
the length promised in the header is not reached, so nobody takes the piece for the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from aiohttp import web
from multidict import CIMultiDict

from api.pools import run, submit
from api.routing import SERVICE
from storage.container import Block
from storage.errors import RecorderError

FIRST_BYTES = 1 << 18  # the first bytes are waited for
BATCH_BYTES = 1 << 20  # later ones are fetched ahead: more at a time costs memory, less costs hops to the thread pool
RECHECK = timedelta(seconds=30)
STALL_SECONDS = 600  # a paused player keeps its connection this long; it comes back with a Range

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)

log = structlog.get_logger()


class Stream(Protocol):
    """One range of a sealed rendition on its way out; `storage.vault.SealedStream` is one and says more."""

    @property
    def ended(self) -> bool: ...

    def fetch(self, most: int) -> list[Block]: ...

    def at_hand(self) -> Block | None: ...

    def open(self, block: Block, *, reuse: bool) -> memoryview: ...

    def close(self) -> None: ...


class Reader(Protocol):
    """A sealed rendition."""

    @property
    def size(self) -> int: ...

    def stream(self, start: int, stop: int) -> Stream: ...


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
    (`If-Range`); it must be random, never a hash of the audio.
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
    async with aclosing(_opened(request, reader.stream(wanted.start, wanted.stop))) as pieces:
        # Opened before the status is sent: what cannot be read at all is an error, not a broken body.
        first = await anext(pieces, None)
        await response.prepare(request)
        await send(request, response, first, pieces, recheck)
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


async def _opened(request: web.Request, stream: Stream) -> AsyncGenerator[memoryview]:
    """A stream's plaintext, in pieces that are never empty. Each must be written before the next is asked for.

    Sealed blocks that are at hand are taken at once; the others come from the pool, which fetches ahead. They are
    opened here, because that takes less time than a change of threads. So no thread ever waits for a listener.
    """

    def opened(blocks: Iterable[Block]) -> Iterator[memoryview]:
        for block in blocks:
            # Empty where no chunk of the container ends in the block: of a file, a few pages may be in memory.
            if piece := stream.open(block, reuse=_all_sent(request)):
                yield piece

    fetching = submit(request, stream.fetch, FIRST_BYTES)
    try:
        blocks = await asyncio.wrap_future(fetching)
        for piece in opened(blocks):
            yield piece
        for piece in opened(iter(stream.at_hand, None)):
            yield piece
        if not stream.ended:
            fetching = submit(request, stream.fetch, BATCH_BYTES)
            last = False
            while not last:
                blocks = await asyncio.wrap_future(fetching)
                last = stream.ended
                if not last:
                    fetching = submit(request, stream.fetch, BATCH_BYTES)
                for piece in opened(blocks):
                    yield piece
    finally:
        _let_go(request, stream, fetching)


def _let_go(request: web.Request, stream: Stream, fetching: Future[list[Block]]) -> None:
    """Close the stream once nobody fetches from it. Never awaits, so that no cancellation can come in between."""
    if not fetching.done():
        fetching.add_done_callback(lambda _: stream.close())
    elif stream.ended:
        stream.close()
    else:
        submit(request, stream.close)  # which may have to end a conversation with the store


def _all_sent(request: web.Request) -> bool:
    """Whether everything written to the connection has left its buffer."""
    return request.transport is not None and request.transport.get_write_buffer_size() == 0


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
        """Run beside the sending, which may hang on a client that does not read, and drop the connection if need be."""
        stalled, sent = 0.0, self.sent
        while stalled < STALL_SECONDS:
            await asyncio.sleep(RECHECK.total_seconds())
            stalled, sent = (stalled + RECHECK.total_seconds() if sent == self.sent else 0.0), self.sent
            try:
                await self.check()
            except RecorderError as exc:
                log.warning("stream.aborted", code=exc.code)
                break
            except Exception:  # whatever it is: we cannot tell whether they may go on listening
                log.exception("stream.aborted")
                break
        _abort(self._request)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    piece: bytes | memoryview | None,
    pieces: AsyncGenerator[bytes] | AsyncGenerator[memoryview],
    recheck: Callable[[datetime], None] | None,
) -> None:
    """Send a prepared response's pieces, the first and then the others, as long as `recheck` lets them go out.

    Any failure drops the connection, and so does a client that reads nothing for ten minutes.
    """
    watch = Watch(request, recheck)
    guard = asyncio.create_task(watch.guard())
    try:
        while piece:
            await watch.check()
            await response.write(piece)
            watch.sent += 1
            await asyncio.sleep(0)  # a fast listener must not keep the others waiting
            piece = await anext(pieces, None)
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
