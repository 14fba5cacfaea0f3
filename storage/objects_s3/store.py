"""An `ObjectStore` in one bucket."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from io import BytesIO
from typing import Any

from storage.errors import ObjectNotFoundError, StoreUnavailableError
from storage.objects import BLOCK, checked
from storage.objects_s3 import asking, lifecycle, versions
from storage.objects_s3.client import CONNECTIONS, Bucket, OutOfRangeError, onward
from storage.objects_s3.uploading import COPY_PART, S3Upload, Target, look, tags
from storage.probe import StoreTruth


class S3Store:
    """Thread-safe. Finds out what its bucket does when that first matters, and remembers it while the process lives."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint_url: str = "", region: str = "") -> None:
        self.bucket = Bucket(bucket, prefix, endpoint_url=endpoint_url, region=region)
        self.name = f"bucket {bucket}"
        self._executor = ThreadPoolExecutor(CONNECTIONS // 2, thread_name_prefix="part")
        self._asking = threading.Lock()
        self._truth: StoreTruth | None = None

    def truth(self, *, anew: bool = False) -> StoreTruth:
        with self._asking:
            if self._truth is None or anew:
                self._truth = asking.truth(self.bucket, self.name)
            return self._truth

    def create(self, key: str, tags: Mapping[str, str], upload_id: str | None = None) -> S3Upload:
        upload_id = upload_id or secrets.token_hex(16)
        return S3Upload(self.bucket, checked(key), tags, upload_id, truth=self.truth, executor=self._executor)

    def copy(self, source: str, target: str, tags: Mapping[str, str]) -> int:
        full, size = self.bucket.full(checked(source)), self.size(source)
        copying = Target(self.bucket, checked(target), tags, secrets.token_hex(16), self.truth)
        try:
            if size <= COPY_PART:
                copying.copy(full)
            else:
                copying.begin()
                for start in range(0, size, COPY_PART):
                    copying.copied_part(full, start, min(size, start + COPY_PART))
                copying.complete()
            return copying.settle()
        except BaseException:
            copying.drop()
            raise

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        full = self.bucket.full(checked(key))
        if stop is not None and start >= stop:
            return
        at, end = start, None
        while end is None or at < end:
            began, body, end = at, *self._opened(full, at, stop)
            try:
                with closing(body):
                    while at < end:
                        block = self._block(body, min(BLOCK, end - at))
                        at += len(block)
                        yield block
            except StoreUnavailableError:
                if at == began:
                    raise  # else ask again: the connection had waited too long for a slow listener

    def cached(self, key: str) -> None:
        """Never: nothing of a bucket lies here."""

    def size(self, key: str) -> int:
        seen = look(self.bucket, self.bucket.full(checked(key)))
        if seen is None:
            self._present()
            raise ObjectNotFoundError
        return int(seen["ContentLength"])

    def tags(self, key: str) -> dict[str, str]:
        return tags(self.bucket, self.bucket.full(checked(key)))

    def set_backstop(self, prefixes: Sequence[str]) -> None:
        lifecycle.set_backstop(self.bucket, prefixes)

    def delete(self, key: str) -> int:
        return self.delete_many([key])[key]

    def delete_many(self, keys: Sequence[str]) -> dict[str, int]:
        wanted = [checked(key) for key in keys]
        batch = len(wanted) > 1 and self.truth().batch_delete
        return versions.removed(self.bucket, wanted, batch=batch)

    def remaining(self, *keys: str) -> int:
        return len(versions.found(self.bucket, [checked(key) for key in keys]))

    def keys(self, prefix: str) -> Iterator[str]:
        after: dict[str, str] = {}
        while True:
            page = self.bucket.ask("list_objects_v2", Prefix=self.bucket.full(prefix), **after)
            for entry in page.get("Contents", ()):
                yield self.bucket.own(entry["Key"])
            after = onward(page, after, ContinuationToken="NextContinuationToken")
            if not after:
                return

    def clock(self) -> datetime | None:
        """Going by the store's last answer; asks only where there was none within a minute."""
        if self.bucket.time() is None:
            self._present()
        return self.bucket.time()

    def _present(self) -> None:
        """A missing bucket is a store that is away, not an empty one."""
        try:
            self.bucket.ask("head_bucket")
        except ObjectNotFoundError:
            raise StoreUnavailableError("there is no such bucket") from None

    def _opened(self, full: str, start: int, stop: int | None) -> tuple[Any, int]:
        """The body of a range and where it ends; an empty one where it begins past the end of the object."""
        last = "" if stop is None else stop - 1
        try:
            answer = self.bucket.ask("get_object", Key=full, Range=f"bytes={start}-{last}")
        except OutOfRangeError:
            return BytesIO(), start
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise StoreUnavailableError("the store gave another range than it was asked for")
        return answer["Body"], start + int(answer["ContentLength"])

    def _block(self, body: Any, size: int) -> bytes:
        """Exactly `size` bytes. Raises where the body ends earlier."""
        with self.bucket.translated():
            block: bytes = body.read(size)
            while len(block) < size:
                more = body.read(size - len(block))
                if not more:
                    raise StoreUnavailableError("the store broke off in the middle of an object")
                block += more
        return block
