"""Work beside the stream: small pieces come joined, large ones as they are, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recorder.audio.beside import BLOCK_BYTES, LARGE_BYTES, Beside, in_blocks


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


def test_work_is_done_in_order_and_its_error_is_raised() -> None:
    done: list[bytes] = []

    def work(piece: bytes) -> None:
        if piece == b"bad":
            raise ValueError("bad")
        done.append(piece)

    beside = Beside(work)
    pieces = [str(number).encode() for number in range(20)]
    for piece in pieces:
        beside.put(piece)
    beside.finish()
    assert done == pieces
    failing = Beside(work)
    failing.put(b"bad")
    with pytest.raises(ValueError, match="bad"):
        failing.finish()
    failing.close()
