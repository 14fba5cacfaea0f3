"""Work on a stream beside the stream: hashing and decoding while the next bytes are fetched and sealed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

AHEAD = 4  # pieces that may wait
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


class Beside:
    """One thread that works through pieces in order. `put` and `finish` raise what the work raised."""

    def __init__(self, work: Callable[[bytes], None]) -> None:
        self._work = work
        self._pieces: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="audio")
        self._thread.start()

    def put(self, piece: bytes) -> None:
        self._raise()
        self._pieces.put(piece)

    def finish(self) -> None:
        """Return when everything put has been worked on."""
        self._end()
        self._raise()

    def close(self) -> None:
        """Stop, whatever still waits."""
        self._abandoned = True
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is not None or self._abandoned:
                continue  # only drained, so that nobody waits for room
            try:
                self._work(piece)
            except BaseException as error:  # noqa: BLE001 -- raised again where the work was asked for
                self._error = error
