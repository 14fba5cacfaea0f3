"""Seal, open, read a range, destroy: container, key ring and object store as one thing.

Handles plaintext audio and data keys.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from storage import columns
from storage.container import FEED, HEAD, Opener, Sealer, context
from storage.errors import IntegrityError
from storage.keyring import KeyRing
from storage.keys import KEY_BYTES, Key
from storage.objects import HELD, ObjectStore, Upload

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

    def read(self, start: int, stop: int) -> Iterator[bytearray]:
        """Plaintext `start`..`stop` in fresh buffers of up to 256 KiB, touching only the chunks that cover it.

        Raises, at the first buffer or in the middle, `IntegrityError` for what is not as it was sealed and
        `ObjectNotFoundError` for what is gone: a response under way must then be broken off, never ended.
        """
        return self._opener.open(start, stop, self._objects.read(self._object_key, *self._opener.covering(start, stop)))


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

    def forget(self, recording_id: str) -> None:
        """Drop what is remembered of a recording: its erasure has begun."""
        with self._lock:
            self._deks = {key: held for key, held in self._deks.items() if key[0] != recording_id}

    # -- objects

    def object_key(self, segment: str, expiry: date) -> str:
        """A new key. Its prefix is what a bucket's lifecycle rule goes by, should we ever fail to delete."""
        return f"{segment}/{expiry:%Y%m%d}/{secrets.token_hex(16)}"

    def upload_id(self) -> str:
        """A new id for an upload, to be on record before there is one."""
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

    def held_key(self, segment: str) -> str:
        """A new key for the copy of an object that must stay, where no bucket's lifecycle rule reaches it."""
        return f"{HELD}{segment}/{secrets.token_hex(16)}"

    def copy_object(self, object_key: str, copy_key: str, *, sealed_bytes: int, tags: Mapping[str, str]) -> None:
        """Copy one sealed object within the store: the same bytes, the same data key."""
        if self.objects.copy(object_key, copy_key, tags) != sealed_bytes:
            raise IntegrityError("the store did not copy the whole object")

    def erase_object(self, object_key: str) -> int:
        """Delete every version and unfinished upload; gives how many there were."""
        return self.objects.delete(object_key)

    def remaining(self, object_key: str) -> int:
        """How many versions and unfinished uploads the store still shows: erased means none."""
        return self.objects.remaining(object_key)
