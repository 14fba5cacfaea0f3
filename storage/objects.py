"""What an object store must do. It is handed sealed bytes and opaque keys only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from storage.probe import StoreTruth

BLOCK = 16 * 16_400  # bytes per block read: whole sealed chunks, so that a reader need not regroup them

HELD = "hold/"  # keys under it are out of reach of any rule by which a store deletes by itself

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII)


def checked(key: str) -> str:
    """The key, if it is made of plain names: nothing hidden, nothing that climbs out of a folder."""
    if not _KEY.fullmatch(key):
        raise ValueError("not an object key")
    return key


class Upload(Protocol):
    """One object being written. Nothing of it is visible before `commit`; after `commit` it is durable.

    Every method raises `StoreFullError` or `StoreUnavailableError`; a failing `write` or `commit` leaves nothing
    behind where the store can still be reached.
    """

    id: str

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take `data` before returning: the caller reuses the buffer."""
        ...

    def commit(self) -> int:
        """Make the object visible; gives its size as the store has it. Raises `ConflictError` where the key is taken.

        Of two writers at the same moment, one is sure to be refused only where `StoreTruth.conditional_writes` says so.
        A key must therefore have one writer: the caller makes it random, or claims it by a unique row first.
        """
        ...

    def abort(self) -> None:
        """Drop what was written and not committed. May be called at any time, also twice, also after a failure."""
        ...


class Cached(Protocol):
    """An object that may lie in this machine's memory, so that an event loop can read it without waiting."""

    def read(self, at: int, size: int) -> memoryview | None:
        """Bytes from `at`, fewer than `size` where no more are at hand; None for none. Valid until the next call."""
        ...

    def close(self) -> None:
        """Let go of the object; more than once does no harm."""
        ...


class ObjectStore(Protocol):
    """Objects by key, written once and never overwritten. Thread-safe.

    Methods raise `StoreUnavailableError` when the store does not answer, and never mistake a store that is away for
    an empty one: when `delete` or `delete_many` returns, the erasure is believed.
    """

    name: str

    def truth(self, *, anew: bool = False) -> StoreTruth:
        """What the store was found to do. It is asked once per process, or `anew`: many requests, two small objects."""
        ...

    def create(self, key: str, tags: Mapping[str, str], upload_id: str | None = None) -> Upload:
        """Start an object. `upload_id` (32 random hex digits) is for callers that record it before the first byte."""
        ...

    def copy(self, source: str, target: str, tags: Mapping[str, str]) -> int:
        """Copy a finished object within the store, without its bytes passing here; gives the copy's size.

        Raises as `Upload.commit` does, and `ObjectNotFoundError`.
        """
        ...

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes `start`..`stop` in blocks of `BLOCK`. Raises `ObjectNotFoundError` at the first block."""
        ...

    def cached(self, key: str) -> Cached | None:
        """The object, if this machine may have it in memory; None where it lies elsewhere. May open it, never reads it.

        Raises `ObjectNotFoundError`.
        """
        ...

    def size(self, key: str) -> int:
        """Raises `ObjectNotFoundError`."""
        ...

    def tags(self, key: str) -> dict[str, str]:
        """The tags as the store kept them, which need not be as they were given."""
        ...

    def set_backstop(self, prefixes: Sequence[str]) -> None:
        """Let the store itself delete what lies under these prefixes from day 91 on, where it can."""
        ...

    def delete(self, key: str) -> int:
        """Remove every version, marker and unfinished upload of the key; returns how many went (0: nothing was there).

        Looks again before it returns and raises where anything is left: `StoreRefusedError` where the store refuses.
        """
        ...

    def delete_many(self, keys: Sequence[str]) -> dict[str, int]:
        """`delete` for many keys in as few requests as the store allows: for each key, how many went.

        Raises where any of them could not be deleted; the others may be gone. To go on, call it again.
        """
        ...

    def remaining(self, *keys: str) -> int:
        """How many versions, markers and unfinished uploads of these keys there are."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys of finished objects that start with `prefix`, in order."""
        ...

    def clock(self) -> datetime | None:
        """The store's own time, where it has one: a second opinion on ours."""
        ...
