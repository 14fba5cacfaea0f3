from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from api import ranges
from api.pools import POOLS, SIZES, pools
from api.ranges import Slice, UnsatisfiableError, parse
from api.routing import SERVICE
from recorder.errors import UnauthenticatedError
from storage.container import Opener, Sealer, context
from storage.errors import IntegrityError
from storage.keys import KEY_BYTES
from storage.objects_folder import FolderStore
from storage.vault import SealedReader, SealedWriter

BODY = bytes(range(256)) * 16 * 1024  # 4 MiB: several batches
BLOCK = 256 * 1024


class Bytes:
    """A reader of plain bytes that may break at a place, as a sealed one does at a bad chunk."""

    def __init__(
        self,
        data: bytes,
        *,
        breaks_at: int | None = None,
        before: Callable[[int], None] = lambda _: None,
        at_hand: int = 0,
    ):
        self.data, self.breaks_at, self.before, self.at_hand = data, breaks_at, before, at_hand
        self.let_go = threading.Event()

    @property
    def size(self) -> int:
        return len(self.data)

    def stream(self, start: int, stop: int) -> BytesStream:
        return BytesStream(self, start, stop)


class BytesStream:
    """As far as `at_hand` it has blocks at hand, all in one buffer; the rest is fetched."""

    def __init__(self, reader: Bytes, start: int, stop: int) -> None:
        self._reader = reader
        self._at, self._stop = start, stop
        self._buffer = bytearray(BLOCK)
        self._plain = bytearray(BLOCK)

    @property
    def ended(self) -> bool:
        return self._at >= self._stop

    def fetch(self, most: int) -> list[bytes | bytearray | memoryview]:
        assert threading.current_thread().name.startswith("api-")
        upto = min(self._stop, self._at + most)
        blocks = []
        while self._at < upto:
            blocks.append(self._next())
        return blocks

    def at_hand(self) -> memoryview | None:
        if self.ended or self._at >= self._reader.at_hand:
            return None
        block = self._next()
        self._buffer[: len(block)] = block
        return memoryview(self._buffer)[: len(block)]

    def open(self, block: bytes | bytearray | memoryview, *, reuse: bool) -> memoryview:
        if not reuse:
            self._plain = bytearray(BLOCK)
        self._plain[: len(block)] = block
        return memoryview(self._plain)[: len(block)]

    def close(self) -> None:
        self._reader.let_go.set()

    def _next(self) -> bytes:
        at = self._at
        self._reader.before(at)
        if self._reader.breaks_at is not None and at >= self._reader.breaks_at:
            raise IntegrityError
        self._at = min(at + BLOCK, self._stop)
        return self._reader.data[at : self._at]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 9, 3, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def sealed(store: FolderStore, data: bytes) -> SealedReader:
    dek, place = secrets.token_bytes(KEY_BYTES), context("rec_1", "playback")
    writer = SealedWriter(store.create("a/b", {}), Sealer(dek, place))
    writer.write(data)
    kept = writer.commit()
    return SealedReader(store, "a/b", Opener(dek, place, kept.head, kept.sealed_bytes))


@asynccontextmanager
async def serving(reader: ranges.Reader, **options: object) -> AsyncIterator[TestClient]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await ranges.respond(request, reader, "audio/mpeg", **options)

    app = web.Application()
    app[SERVICE] = SimpleNamespace(clock=options.pop("clock", Clock()))
    app[POOLS] = {}
    app.cleanup_ctx.append(pools)
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("", None),
        ("bytes=0-", Slice(0, 1000)),
        ("bytes=0-0", Slice(0, 1)),
        ("bytes=0-1", Slice(0, 2)),
        ("BYTES=5-9", Slice(5, 10)),
        ("bytes=999-", Slice(999, 1000)),
        ("bytes=900-5000", Slice(900, 1000)),
        ("bytes=-1", Slice(999, 1000)),
        ("bytes=-5000", Slice(0, 1000)),
        ("bytes=0-1,5-6", None),
        ("bytes=0-1, -1", None),
        ("bytes=-", None),
        ("bytes=9-5", None),
        ("bytes=a-b", None),
        ("bytes=0-1x", None),
        ("bytes=٣-٤", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_parse_reads_one_range_and_takes_everything_else_for_the_whole(
    header: str | None, wanted: Slice | None
) -> None:
    assert parse(header, 1000) == wanted


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=999999999999999999-"])
def test_parse_refuses_a_range_of_no_bytes(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        parse(header, 1000)


@given(st.integers(0, 2000), st.one_of(st.none(), st.integers(0, 2000)), st.integers(0, 1500))
def test_parse_never_leaves_the_body(first: int, last: int | None, size: int) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    try:
        part = parse(header, size)
    except UnsatisfiableError:
        assert first >= size
        return
    if part is None:
        assert last is not None
        assert last < first
    else:
        assert 0 <= part.start == first < part.stop <= size


@pytest.mark.parametrize("at_hand", [0, 1 << 20, len(BODY)])
async def test_the_whole_is_sent_in_order_wherever_it_comes_from(at_hand: int) -> None:
    reader = Bytes(BODY, at_hand=at_hand)
    async with serving(reader) as client, client.get("/") as answer:
        assert answer.status == 200
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert await answer.read() == BODY
        assert await asyncio.to_thread(reader.let_go.wait, 30)


@pytest.mark.parametrize("span", ["bytes=0-", "bytes=-500"])
async def test_a_few_pages_in_memory_of_which_no_chunk_can_be_opened_do_not_end_the_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, span: str
) -> None:
    preadv = os.preadv

    def few(fd: int, buffers: list[memoryview], at: int, _nowait: int) -> int:
        return preadv(fd, [buffers[0][:4096]], at)  # not every file system takes the flag

    monkeypatch.setattr(os, "preadv", few)
    async with (
        asyncio.timeout(30),
        serving(sealed(FolderStore(tmp_path), BODY)) as client,
        client.get("/", headers={"Range": span}) as answer,
    ):
        got = await answer.read()
    assert got == (BODY if span == "bytes=0-" else BODY[-500:])


async def test_a_listener_who_reads_slowly_gets_every_byte_and_holds_no_thread() -> None:
    reader = Bytes(BODY * 8, at_hand=16 << 20)  # more than the connection itself takes
    async with serving(reader) as client, client.get("/") as answer:
        got = bytearray()
        while piece := await answer.content.read(100_000):
            got += piece
            if len(got) < 5_000_000:
                await asyncio.sleep(0.001)  # let the sender run into a full connection
    assert got == BODY * 8


async def test_listeners_who_do_not_read_hold_no_threads() -> None:
    async with serving(Bytes(BODY * 8)) as client:
        idle = [await client.get("/") for _ in range(3 * SIZES["default"])]
        async with client.get("/") as answer:
            assert len(await answer.read()) == len(BODY) * 8
        for one in idle:
            one.close()


async def test_p6_what_a_listener_leaves_half_way_is_let_go_of() -> None:
    reader = Bytes(BODY * 8)
    async with serving(reader) as client:
        answer = await client.get("/")
        await answer.content.read(1000)
        answer.close()
        assert await asyncio.to_thread(reader.let_go.wait, 30)


async def test_the_head_alone_says_the_length_and_opens_nothing() -> None:
    read: list[int] = []
    async with serving(Bytes(BODY, before=read.append)) as client, client.head("/") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(BODY)))
        assert await answer.read() == b""
    assert read == []


async def test_a_range_is_a_206_of_exactly_its_bytes() -> None:
    wanted = {"Range": "bytes=1000000-3000000"}
    async with serving(Bytes(BODY)) as client, client.get("/", headers=wanted) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes 1000000-3000000/{len(BODY)}"
        assert answer.headers["Content-Length"] == "2000001"
        assert await answer.read() == BODY[1_000_000:3_000_001]


async def test_several_ranges_are_answered_with_the_whole_and_not_with_an_error() -> None:
    async with serving(Bytes(BODY)) as client, client.get("/", headers={"Range": "bytes=0-1,5-6"}) as answer:
        assert answer.status == 200
        assert len(await answer.read()) == len(BODY)


async def test_an_impossible_range_is_a_416_with_the_size() -> None:
    async with serving(Bytes(b"abc")) as client, client.get("/", headers={"Range": "bytes=3-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */3"


async def test_an_empty_body_is_sent_empty() -> None:
    async with serving(Bytes(b"")) as client, client.get("/") as answer:
        assert answer.status == 200
        assert await answer.read() == b""


async def test_a_download_has_a_name_and_resumes_only_the_same_recording() -> None:
    async with serving(Bytes(BODY), filename="samtale.mp3", etag="rec_a") as client:
        async with client.get("/", headers={"Range": "bytes=5-9", "If-Range": '"rec_a"'}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Disposition"] == 'attachment; filename="samtale.mp3"'
        async with client.get("/", headers={"Range": "bytes=5-9", "If-Range": '"rec_b"'}) as answer:
            assert answer.status == 200


async def test_p2_a_bad_chunk_in_mid_body_drops_the_connection() -> None:
    async with serving(Bytes(BODY, breaks_at=3 << 20)) as client, client.get("/") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def test_p4_a_stream_ends_when_its_reader_may_no_longer_listen() -> None:
    clock, allowed = Clock(), [True]

    def recheck(now: datetime) -> None:
        if not allowed[0]:
            raise UnauthenticatedError

    def before(at: int) -> None:
        if at == 2 << 20:  # half way the person signs out, and 31 s pass
            allowed[0] = False
            clock.now += timedelta(seconds=31)

    async with serving(Bytes(BODY, before=before), recheck=recheck, clock=clock) as client, client.get("/") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def test_a_stream_is_not_asked_again_within_30_seconds() -> None:
    asked: list[datetime] = []
    async with serving(Bytes(BODY), recheck=asked.append) as client, client.get("/") as answer:
        await answer.read()
    assert asked == []
