"""Seal, open, read a range, destroy: container, key ring and object store as one thing.

Handles plaintext audio and data keys.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from storage import columns
from storage.container import FEED, HEAD, Block, Opener, Opening, Sealer, context
from storage.errors import IntegrityError, StorageError
from storage.keyring import KeyRing
from storage.keys import KEY_BYTES, Key
from storage.objects import BLOCK, HELD, Cached, ObjectStore, Upload

AT_HAND = 2 * BLOCK  # smaller pieces cost calls, larger ones cost others their turn of the event loop
OBJECT_KEY = re.compile(rf"(?:{HELD})?[a-z_]+/([0-9]{{8}})/[0-9a-f]{{32}}")
DEK_LIVES = timedelta(seconds=20)  # with `prune` every ten seconds, no copy is older than thirty


@dataclass(frozen=True)
class Sealed:
    """What an upload came to. `head` goes to the row: it saves a reader one round trip per range."""

    plain_bytes: int
    sealed_bytes: int
    head: bytes


class SealedWriter:
    """One rendition on its way into the store, in constant memory. `upload_id` is known before the first byte."""

    def __init__(self, upload: Upload, sealer: Sealer) -> None:
        self.upload_id = upload.id
        self._upload = upload
        self._sealer = sealer
        self._head = b""
        self._plain = 0
        self._sealed = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal and store. Buffers of 64 KiB to 256 KiB are the fast ones; any length is taken."""
        view = memoryview(data).cast("B")
        for at in range(0, len(view), FEED):
            self._put(self._sealer.update(view[at : at + FEED]))
        self._plain += len(view)

    def commit(self) -> Sealed:
        """Make the object visible and durable, and check that the store kept every byte."""
        self._put(self._sealer.finalize())
        if self._upload.commit() != self._sealed:
            raise IntegrityError("the store did not keep the whole object")
        return Sealed(self._plain, self._sealed, self._head)

    def abort(self) -> None:
        """Drop everything written. May be called at any time before `commit`, also twice."""
        self._upload.abort()

    def _put(self, sealed: bytes | memoryview) -> None:
        if len(self._head) < HEAD:
            self._head += bytes(sealed[: HEAD - len(self._head)])
        self._sealed += len(sealed)
        self._upload.write(sealed)


class SealedReader:
    """Any range of one sealed rendition."""

    def __init__(self, objects: ObjectStore, object_key: str, opener: Opener) -> None:
        self.size = opener.plain_size
        self._objects = objects
        self._object_key = object_key
        self._opener = opener

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """Plaintext `start`..`stop` in fresh buffers of up to 256 KiB, touching only the chunks that cover it.

        Raises, at the first buffer or in the middle, `IntegrityError` for what is not as it was sealed and
        `ObjectNotFoundError` for what is gone: a response under way must then be broken off, never ended.
        """
        return self._opener.open(start, stop, self._objects.read(self._object_key, *self._opener.covering(start, stop)))

    def stream(self, start: int, stop: int) -> SealedStream:
        """The same in two steps, fetching sealed blocks and opening them: only the first may have to wait."""
        span = self._opener.covering(start, stop)
        return SealedStream(self._objects, self._object_key, span, self._opener.opening(start, stop))


class SealedStream:
    """One range on its way out. Raises as `SealedReader.read` does.

    A block may be opened while the next are fetched; otherwise call one method at a time, from whatever thread.
    """

    def __init__(self, objects: ObjectStore, object_key: str, span: tuple[int, int], opening: Opening) -> None:
        self._objects = objects
        self._object_key = object_key
        self._at, self._stop = span
        self._opening = opening
        self._begun = False
        self._blocks: Iterator[bytes] | None = None
        self._cached: Cached | None = None

    @property
    def ended(self) -> bool:
        """Whether every sealed byte was fetched."""
        return self._at >= self._stop

    def fetch(self, most: int) -> list[Block]:
        """The next blocks, until there are `most` bytes or no more. Waits for the store."""
        if self.ended:
            return []
        if not self._begun:
            self._begun = True
            self._cached = self._objects.cached(self._object_key)
            if (block := self.at_hand()) is not None:
                return [block]
        if self._blocks is None:
            self._blocks = self._objects.read(self._object_key, self._at, self._stop)
        blocks: list[Block] = []
        upto = min(self._stop, self._at + most)
        while self._at < upto:
            block = next(self._blocks, b"")
            if not block:
                raise IntegrityError("the object is not as long as its container")
            blocks.append(block)
            self._at += len(block)
        if self.ended:
            next(self._blocks, b"")  # runs it to its end: only then is the store's connection free for others
        return blocks

    def at_hand(self) -> Block | None:
        """The next block where that needs no waiting, else None. The one after it will overwrite it.

        After the first None, only `fetch` gives the rest.
        """
        block = self._cached.read(self._at, min(AT_HAND, self._stop - self._at)) if self._cached else None
        if block is None:
            self._let_go()
        else:
            self._at += len(block)
        return block

    def open(self, block: Block, *, reuse: bool) -> memoryview:
        """The plaintext of the next block; with `reuse`, it overwrites the plaintext given before. Never waits."""
        return self._opening.feed(block, reuse=reuse)

    def close(self) -> None:
        """Let go of the object, however much of it was read, even nothing. More than once does no harm."""
        self._let_go()
        if isinstance(self._blocks, Generator):
            self._blocks.close()

    def _let_go(self) -> None:
        if self._cached is not None:
            self._cached.close()
            self._cached = None


class Vault:
    """Thread-safe. Opened data keys are remembered for seconds, so that a player does not ask the ring per range."""

    def __init__(self, keyring: KeyRing, objects: ObjectStore) -> None:
        self.keyring = keyring
        self.objects = objects
        self._lock = threading.Lock()
        self._deks: dict[tuple[str, str, bytes], tuple[bytes, datetime]] = {}

    # -- data keys

    def new_dek(self) -> bytes:
        return secrets.token_bytes(KEY_BYTES)

    def wrap_dek(self, dek: bytes, recording_id: str, key: Key) -> bytes:
        return columns.wrap(key, dek, table="recordings", column="dek", row_id=recording_id)

    def unwrap_dek(self, recording_id: str, key_id: str, wrapped: bytes, now: datetime) -> bytes:
        """Raises `KeyDestroyedError`, `KeyUnavailableError`, or `IntegrityError` for another recording's key."""
        place = (recording_id, key_id, wrapped)
        self.prune(now)
        with self._lock:
            if place in self._deks:
                return self._deks[place][0]
        key = self.keyring.key(key_id, now)
        dek = columns.unwrap(key, wrapped, table="recordings", column="dek", row_id=recording_id)
        with self._lock:
            self._deks[place] = (dek, now)
        return dek

    def prune(self, now: datetime) -> None:
        """Drop what has been remembered long enough, whether or not anybody asks again."""
        with self._lock:
            self._deks = {key: held for key, held in self._deks.items() if timedelta() <= now - held[1] < DEK_LIVES}

    def forget(self, *recording_ids: str) -> None:
        """Drop what is remembered of recordings: their erasure has begun."""
        with self._lock:
            self._deks = {key: held for key, held in self._deks.items() if key[0] not in recording_ids}

    # -- objects

    def object_key(self, segment: str, expiry: date) -> str:
        """A new key. Its prefix is what a bucket's lifecycle rule goes by, should we ever fail to delete."""
        return f"{segment}/{expiry:%Y%m%d}/{secrets.token_hex(16)}"

    def upload_id(self) -> str:
        """A new id for an upload, to be recorded before the upload begins."""
        return secrets.token_hex(16)

    def writer(
        self,
        *,
        recording_id: str,
        rendition: str,
        dek: bytes,
        object_key: str,
        tags: Mapping[str, str],
        upload_id: str | None = None,
    ) -> SealedWriter:
        sealer = Sealer(dek, context(recording_id, rendition))
        return SealedWriter(self.objects.create(object_key, tags, upload_id), sealer)

    def reader(
        self, *, recording_id: str, rendition: str, dek: bytes, object_key: str, head: bytes, sealed_bytes: int
    ) -> SealedReader:
        """Raises `IntegrityError` at once where data key, recording, rendition and head do not belong together."""
        opener = Opener(dek, context(recording_id, rendition), head, sealed_bytes)
        return SealedReader(self.objects, object_key, opener)

    def held_key(self, segment: str, expiry: date) -> str:
        """A new key for the copy of an object that must stay, where no bucket's lifecycle rule reaches it."""
        return HELD + self.object_key(segment, expiry)

    def expiry_in(self, object_key: str) -> str | None:
        """The day a key was made for, as `YYYYMMDD`, or None for a key that `object_key` and `held_key` never make."""
        ours = OBJECT_KEY.fullmatch(object_key)
        return ours[1] if ours else None

    def copy_object(self, object_key: str, copy_key: str, *, sealed_bytes: int, tags: Mapping[str, str]) -> None:
        """Copy one sealed object within the store: the same bytes, the same data key."""
        if self.objects.copy(object_key, copy_key, tags) != sealed_bytes:
            raise IntegrityError("the store did not copy the whole object")

    def erase_object(self, object_key: str) -> int:
        """Delete every version and unfinished upload; gives how many there were."""
        return self.objects.delete(object_key)

    def erase_objects(self, object_keys: Sequence[str]) -> dict[str, int]:
        """The same for many at once, in as few requests as the store allows."""
        return self.objects.delete_many(object_keys)

    def answers(self) -> bool:
        """Whether the store is there at all: if so, what it refuses of one object is about that object."""
        try:
            self.objects.remaining("nothing/at/all")
        except StorageError:
            return False
        return True
