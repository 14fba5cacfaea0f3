"""Reading ahead: small pieces come joined, large ones as they are, nothing is lost, and not all is read at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

from recorder.audio.ahead import BLOCK_BYTES, LARGE_BYTES, WAITING, Ahead, in_blocks


@pytest.mark.parametrize("size", [1, 16_384, LARGE_BYTES - 1, LARGE_BYTES, BLOCK_BYTES, 3 * BLOCK_BYTES])
def test_blocks_are_the_same_bytes(size: int) -> None:
    pieces = [bytes([number]) * size for number in range(min(200, 2 + 4 * BLOCK_BYTES // size))]
    blocks = list(in_blocks(iter(pieces)))
    assert b"".join(blocks) == b"".join(pieces)
    assert all(len(block) >= LARGE_BYTES for block in blocks[:-1])
    assert max(map(len, blocks)) < BLOCK_BYTES + size


def test_a_large_piece_is_passed_on_at_once() -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(LARGE_BYTES)
        raise AssertionError("nobody should ask for more")

    assert next(in_blocks(pieces())) == bytes(LARGE_BYTES)


def test_the_whole_stream_comes_in_order_and_hashed() -> None:
    pieces = [bytes([number]) * LARGE_BYTES for number in range(20)]
    ahead = Ahead(iter(pieces))
    assert list(ahead) == pieces
    assert list(ahead) == []
    assert (ahead.size, ahead.sha256) == (20 * LARGE_BYTES, hashlib.sha256(b"".join(pieces)).digest())
    ahead.close()


def test_what_the_source_raises_comes_after_what_it_gave() -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(LARGE_BYTES)
        raise ValueError("broken")

    ahead = Ahead(pieces())
    assert next(ahead) == bytes(LARGE_BYTES)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            next(ahead)
    ahead.close()


def test_only_a_few_blocks_are_read_ahead_and_closing_ends_the_thread() -> None:
    read: list[int] = []
    full = threading.Event()

    def pieces() -> Iterator[bytes]:
        while True:
            read.append(len(read))
            if len(read) > WAITING:
                full.set()
            yield bytes(LARGE_BYTES)

    ahead = Ahead(pieces())
    assert full.wait(10)
    ahead.close()
    assert len(read) == WAITING + 1
    assert "audio" not in {thread.name for thread in threading.enumerate()}
