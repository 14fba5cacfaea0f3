"""Sending what is made while it is sent: its length is not known, and it has no ranges. Handles plaintext audio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from datetime import datetime

from aiohttp import web

from api import ranges
from api.pools import run

BATCH_BYTES = 64 * 1024


async def send_encoded(
    request: web.Request,
    pieces: Iterator[bytes],
    content_type: str,
    filename: str,
    recheck: Callable[[datetime], None],
) -> web.StreamResponse:
    """Send pieces as a download. A failure before the first is an error; a later one drops the connection."""
    response = web.StreamResponse(
        headers={"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{filename}"'}
    )
    async with aclosing(_batches(request, pieces)) as batches:
        first = await anext(batches, None)
        await response.prepare(request)
        await ranges.send(request, response, first, batches, recheck)
    return response


async def _batches(request: web.Request, pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
    try:
        while batch := await run(request, _gathered, pieces):
            yield batch
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
