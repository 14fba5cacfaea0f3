"""A stream read ahead of its use: the next bytes are fetched and hashed while these are sealed and stored."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator

WAITING = 3  # blocks that may wait
BLOCK_BYTES = 512 * 1024  # large, because every hand-over between threads has its price
LARGE_BYTES = BLOCK_BYTES // 4  # worth passing on without a copy


def in_blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes with small pieces joined: one record of TLS, or one packet, is little to work on."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES or len(piece) == size >= LARGE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


class Ahead:
    """An iterator over the blocks of a stream, which a thread reads a few blocks ahead.

    An error in reading is raised where its block would have come. `size` and `sha256` are the stream's once it has been
    iterated to its end. `close` returns when the thread has ended, which may have to read one more piece for that.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._pieces = pieces
        self._blocks: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._room = threading.Semaphore(WAITING)
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="audio")
        self._thread.start()

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self._blocks.get()
        if isinstance(block, BaseException):
            self._blocks.put(block)  # for whoever asks once more
            raise block
        self._room.release()
        return block

    def close(self) -> None:
        self._closed = True
        self._room.release()
        self._thread.join()

    def _read(self) -> None:
        try:
            for block in in_blocks(self._pieces):
                self._room.acquire()
                if self._closed:
                    return
                self._blocks.put(block)
                self._hash.update(block)
                self.size += len(block)
        except BaseException as error:  # noqa: BLE001 -- raised where the block was asked for
            self._blocks.put(error)
        else:
            self._blocks.put(StopIteration())
