"""Sending what is made while it is sent, so that neither length nor ranges are known. Handles plaintext audio."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import datetime

import structlog
from aiohttp import web

from api.pools import run
from api.ranges import RECHECK
from api.routing import SERVICE
from storage.errors import RecorderError

BATCH_BYTES = 64 * 1024

log = structlog.get_logger()


async def send_encoded(
    request: web.Request,
    pieces: Iterator[bytes],
    content_type: str,
    filename: str,
    recheck: Callable[[datetime], None],
) -> web.StreamResponse:
    """Send pieces as a download. What fails before the first is an error; what fails later drops the connection."""
    clock = request.app[SERVICE].clock
    checked_at = clock()
    try:
        batch = await run(request, _gathered, pieces)
        response = web.StreamResponse(
            headers={"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{filename}"'}
        )
        await response.prepare(request)
        try:
            while batch:
                if clock() - checked_at >= RECHECK:
                    checked_at = clock()
                    await run(request, recheck, checked_at)
                await response.write(batch)
                batch = await run(request, _gathered, pieces)
            await response.write_eof()
        except RecorderError as exc:
            log.warning("stream.aborted", code=exc.code)
            if request.transport is not None:
                request.transport.abort()
        return response
    finally:
        if isinstance(pieces, Generator):
            await run(request, pieces.close)


def _gathered(pieces: Iterator[bytes]) -> bytes:
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= BATCH_BYTES:
            break
    return bytes(batch)
