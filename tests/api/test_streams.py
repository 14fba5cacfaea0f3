"""A download made while it is sent: it ends with its listener's right to it, whether or not they read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from api import ranges
from api.pools import POOLS, pools
from api.routing import SERVICE
from api.streams import send_encoded
from recorder.errors import UnauthenticatedError
from storage.errors import IntegrityError
from tests.api.test_ranges import Clock

PIECE = bytes(50_000)


class Encoder:
    """Makes pieces until it is closed; `closed` is set by then, whoever closes it. It may break at a piece."""

    def __init__(self, pieces: int, *, breaks_at: int | None = None) -> None:
        self._pieces, self._breaks_at = pieces, breaks_at
        self.closed = threading.Event()
        self.made = 0

    def encoded(self) -> Iterator[bytes]:
        try:
            for number in range(self._pieces):
                if number == self._breaks_at:
                    raise IntegrityError
                self.made += 1
                yield PIECE
        finally:
            self.closed.set()


async def stuck(encoder: Encoder) -> None:
    """Wait until nothing more is made, because nobody reads."""
    made = -1
    while made != encoder.made:
        made = encoder.made
        await asyncio.sleep(0.3)


@asynccontextmanager
async def serving(
    encoder: Encoder, recheck: Callable[[datetime], None] = lambda _: None, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[TestClient]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await send_encoded(request, encoder.encoded(), "audio/mpeg", "samtale.mp3", recheck)

    app = web.Application()
    app[SERVICE] = SimpleNamespace(clock=clock or Clock())
    app[POOLS] = {}
    app.cleanup_ctx.append(pools)
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_every_piece_is_sent_as_a_download() -> None:
    encoder = Encoder(9)
    async with serving(encoder) as client, client.get("/") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="samtale.mp3"'
        assert await answer.read() == PIECE * 9
    assert encoder.closed.is_set()


async def test_what_breaks_before_the_first_piece_is_an_error_and_after_it_a_dropped_connection() -> None:
    async with serving(Encoder(9, breaks_at=0)) as client, client.get("/") as answer:
        assert answer.status == 500
    async with serving(Encoder(9, breaks_at=7)) as client, client.get("/") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("refusal", [UnauthenticatedError, ValueError], ids=["refused", "not even asked"])
async def test_p4_a_download_nobody_reads_ends_with_the_right_to_it(
    refusal: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RECHECK", timedelta(seconds=0.05))
    encoder, clock, revoked = Encoder(10_000), Clock(), threading.Event()

    def recheck(_now: datetime) -> None:
        if revoked.is_set():
            raise refusal

    async with serving(encoder, recheck, clock) as client, client.get("/") as answer:
        assert answer.status == 200
        await stuck(encoder)
        revoked.set()
        clock.now += timedelta(days=120)
        assert await asyncio.to_thread(encoder.closed.wait, 30)


async def test_a_download_nobody_reads_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RECHECK", timedelta(seconds=0.05))
    monkeypatch.setattr(ranges, "STALL_SECONDS", 0.2)
    encoder = Encoder(10_000)
    async with serving(encoder) as client, client.get("/"):
        assert await asyncio.to_thread(encoder.closed.wait, 30)
