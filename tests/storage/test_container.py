"""Cobblestone-256 both ways: what we seal the library opens, any range of what it seals we read; nothing else opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.container import CHUNK, FEED, HEAD, SEALED_CHUNK, Opener, Sealer, context, plain_size, sealed_size
from storage.errors import IntegrityError

DEK = bytes(range(32))
CTX = context("rec_a", "original")
VECTORS = Path(__file__).parents[1] / "vectors"
EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, FEED, FEED + 1, 2 * FEED + 7]


def audio(size: int) -> bytes:
    """Bytes in which no two chunks are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def sealed(plain: bytes, dek: bytes = DEK, ctx: bytes = CTX) -> bytes:
    sealer = Sealer(dek, ctx)
    return (
        b"".join(bytes(sealer.update(plain[at : at + FEED])) for at in range(0, len(plain), FEED)) + sealer.finalize()
    )


def read(message: bytes, start: int = 0, stop: int | None = None, size: int | None = None, block: int = FEED) -> bytes:
    opener = Opener(DEK, CTX, message[:HEAD], len(message) if size is None else size)
    stop = opener.plain_size if stop is None else stop
    first, last = opener.covering(start, stop)
    return b"".join(opener.open(start, stop, blocks(message[first:last], block)))


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", EDGES)
def test_what_we_seal_the_library_opens(size: int) -> None:
    message = sealed(audio(size))

    library = Cobblestone256Decryptor(DEK, CTX)
    assert library.update(message) + library.finalize() == audio(size)
    assert len(message) == sealed_size(size)
    assert plain_size(len(message)) == size


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("block", [1000, SEALED_CHUNK, 16 * SEALED_CHUNK, 10_000_000])
def test_what_the_library_seals_we_read_however_it_is_cut_into_blocks(size: int, block: int) -> None:
    library = Cobblestone256Encryptor(DEK, CTX)
    message = library.update(audio(size)) + library.finalize()

    assert read(message, block=block) == audio(size)


LONG = audio(20 * CHUNK + 77)
LONG_SEALED = sealed(LONG)


@given(st.integers(0, len(LONG)), st.integers(0, len(LONG)), st.integers(1, 400_000))
@settings(max_examples=300, deadline=None)
def test_every_range_equals_the_librarys_plaintext(one: int, other: int, block: int) -> None:
    start, stop = sorted((one, other))

    assert read(LONG_SEALED, start, stop, block=max(block, 500)) == LONG[start:stop]


@given(st.integers(0, 40), st.integers(-1, 1), st.integers(0, 40), st.integers(-1, 1))
@settings(max_examples=200, deadline=None)
def test_ranges_at_chunk_borders(first: int, before: int, last: int, after: int) -> None:
    plain = audio(8 * CHUNK)  # ends on a border, so that the last chunk is empty
    clip = sorted(min(max(0, edge), len(plain)) for edge in (first * CHUNK + before, last * CHUNK + after))

    assert read(BORDER_SEALED, *clip) == plain[clip[0] : clip[1]]


BORDER_SEALED = sealed(audio(8 * CHUNK))


@pytest.mark.parametrize("size", [0, CHUNK])
@pytest.mark.parametrize("reuse", [False, True])
def test_a_range_of_nothing_is_nothing(size: int, reuse: bool) -> None:
    message = sealed(audio(size))
    opener = Opener(DEK, CTX, message[:HEAD], len(message))
    first, last = opener.covering(size, size)
    opening = opener.opening(size, size)

    assert bytes(opening.feed(message[first:last], reuse=reuse)) == b""
    opening.finish()


def test_a_range_touches_only_the_chunks_that_cover_it() -> None:
    opener = Opener(DEK, CTX, LONG_SEALED[:HEAD], len(LONG_SEALED))

    assert opener.covering(CHUNK, CHUNK + 1) == (HEAD + SEALED_CHUNK, HEAD + 2 * SEALED_CHUNK)
    assert opener.covering(CHUNK, CHUNK) == (HEAD + SEALED_CHUNK, HEAD + SEALED_CHUNK)


def test_a_range_that_reaches_the_end_takes_the_last_chunk_along() -> None:
    opener = Opener(DEK, CTX, BORDER_SEALED[:HEAD], len(BORDER_SEALED))

    assert opener.covering(7 * CHUNK, 8 * CHUNK) == (HEAD + 7 * SEALED_CHUNK, len(BORDER_SEALED))


@pytest.mark.parametrize(("start", "stop"), [(-1, 0), (1, 0), (0, len(LONG) + 1)])
def test_ranges_outside_are_the_callers_mistake(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="range"):
        read(LONG_SEALED, start, stop)


def test_p2_every_prefix_of_a_container_is_refused() -> None:
    message = sealed(audio(2 * CHUNK + 5))
    cuts = {*range(200), *range(0, len(message), 97), len(message) - 1, len(message) - 16, len(message) - 21}
    cuts |= {HEAD + n * SEALED_CHUNK + off for n in (0, 1, 2) for off in (-1, 0, 1, 15, 16, 17)}

    for cut in sorted(cuts - {len(message)}):
        with pytest.raises(IntegrityError):
            read(message[:cut])


@pytest.mark.parametrize("cut", [1, 16, 21, SEALED_CHUNK, SEALED_CHUNK + 21])
def test_p2_an_object_shorter_than_its_row_says_is_refused(cut: int) -> None:
    message = sealed(audio(2 * CHUNK + 5))

    with pytest.raises(IntegrityError):
        read(message[:-cut], size=len(message))


def test_p2_bytes_behind_the_end_are_refused_where_they_are_read() -> None:
    message = sealed(audio(5))
    opener = Opener(DEK, CTX, message[:HEAD], len(message))

    with pytest.raises(IntegrityError):
        list(opener.open(0, 5, [message[HEAD:], b"more"]))


@given(st.integers(0, 8 * len(sealed(audio(CHUNK + 9))) - 1))
@settings(max_examples=150, deadline=None)
def test_p2_a_flipped_bit_is_refused(bit: int) -> None:
    message = bytearray(sealed(audio(CHUNK + 9)))
    message[bit // 8] ^= 1 << bit % 8

    with pytest.raises(IntegrityError):
        read(bytes(message))


def test_p2_reordered_chunks_are_refused() -> None:
    message = sealed(audio(3 * CHUNK))
    first, second = message[HEAD : HEAD + SEALED_CHUNK], message[HEAD + SEALED_CHUNK : HEAD + 2 * SEALED_CHUNK]

    with pytest.raises(IntegrityError):
        read(message[:HEAD] + second + first + message[HEAD + 2 * SEALED_CHUNK :])


def test_p2_a_chunk_of_another_message_under_the_same_key_is_refused() -> None:
    message, other = sealed(audio(2 * CHUNK)), sealed(audio(2 * CHUNK))

    with pytest.raises(IntegrityError):
        read(message[: HEAD + SEALED_CHUNK] + other[HEAD + SEALED_CHUNK :])
    with pytest.raises(IntegrityError):
        read(message[:HEAD] + other[HEAD:])


@pytest.mark.parametrize(
    ("dek", "ctx"),
    [
        (bytes(32), CTX),
        (DEK, context("rec_b", "original")),
        (DEK, context("rec_a", "playback")),
        (DEK, context("rec_", "aoriginal")),
    ],
)
def test_p2_another_key_recording_or_rendition_is_refused_before_any_chunk(dek: bytes, ctx: bytes) -> None:
    message = sealed(audio(9))

    with pytest.raises(IntegrityError):
        Opener(dek, ctx, message[:HEAD], len(message))


def test_p2_a_commitment_is_checked_even_where_the_chunks_would_open() -> None:
    message = sealed(audio(9))
    forged = message[:24] + bytes(32)

    with pytest.raises(IntegrityError, match="not sealed by this key"):
        Opener(DEK, CTX, forged, len(message))


@pytest.mark.parametrize("size", [0, HEAD, HEAD + 15, HEAD + SEALED_CHUNK, HEAD + SEALED_CHUNK + 15])
def test_lengths_no_message_has(size: int) -> None:
    with pytest.raises(IntegrityError):
        plain_size(size)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("container-*.json")), ids=lambda path: path.stem)
def test_vectors_open_with_the_library_and_with_our_reader(path: Path) -> None:
    vector = json.loads(path.read_text("utf-8"))
    dek, message = bytes.fromhex(vector["dek"]), path.with_suffix(".sealed").read_bytes()
    ctx = context(vector["recording_id"], vector["rendition"])
    plain = (bytes.fromhex(vector["pattern"]) * (vector["plain_bytes"] + 1))[: vector["plain_bytes"]]

    assert ctx.hex() == vector["context"]
    library = Cobblestone256Decryptor(dek, ctx)
    assert library.update(message) + library.finalize() == plain
    opener = Opener(dek, ctx, message[:HEAD], len(message))
    assert b"".join(opener.open(0, len(plain), [message[HEAD:]])) == plain


def test_there_are_vectors() -> None:
    assert len(list(VECTORS.glob("container-*.json"))) >= 3
