"""One object on its way into a bucket: in one request where it is small, in parts of constant memory where it is not.

A part is kept until the store has acknowledged it, so that what is sent again is the same ciphertext. The object
carries the id of its upload: a lost answer to the last request then leaves no doubt, and nobody else's object is taken
for ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

from storage.errors import ConflictError, ObjectNotFoundError, RecorderError, StorageError, StoreUnavailableError
from storage.objects_s3 import versions
from storage.objects_s3.client import Bucket
from storage.probe import StoreTruth

PART = 8 * 1024 * 1024
COPY_PART = 256 * 1024 * 1024  # what a store copies well within a timeout
UPLOAD = "upload"  # the name of the id in the object's metadata


class S3Upload:
    """Two buffers of `PART` bytes at most: one being filled, one on its way."""

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        tags: Mapping[str, str],
        upload_id: str,
        *,
        truth: Callable[[], StoreTruth],
        executor: Executor,
    ) -> None:
        self.id = upload_id
        self._target = Target(bucket, key, tags, self.id, truth)
        self._executor = executor
        self._buffer, self._filled = bytearray(), 0
        self._spare = bytearray()
        self._sending: Future[None] | None = None
        self._over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over:
            raise ValueError("the upload is over")
        view = memoryview(data).cast("B")
        with self._undone_on_failure():
            while view:
                if self._filled == PART:
                    self._send()
                view = view[self._fill(view[: PART - self._filled]) :]

    def commit(self) -> int:
        if self._over:
            raise ValueError("the upload is over")
        with self._undone_on_failure():
            del self._buffer[self._filled :]
            if self._target.begun:
                self._send()
                self._acknowledged()
                self._target.complete()
            else:
                self._target.put(self._buffer)
            size = self._target.settle()
        self._end()
        return size

    def abort(self) -> None:
        if not self._over:
            self._end()
            self._target.drop()

    def _fill(self, piece: memoryview) -> int:
        end = self._filled + len(piece)
        if end <= len(self._buffer):
            with memoryview(self._buffer) as buffer:
                buffer[self._filled : end] = piece
        else:  # a new buffer grows with what it takes: most objects are smaller than a part
            del self._buffer[self._filled :]
            self._buffer += piece
        self._filled = end
        return len(piece)

    def _send(self) -> None:
        self._target.begin()
        self._acknowledged()
        self._sending = self._executor.submit(self._target.part, self._buffer)
        self._buffer, self._spare, self._filled = self._spare, self._buffer, 0

    def _acknowledged(self) -> None:
        if self._sending is not None:
            sending, self._sending = self._sending, None
            sending.result()

    def _end(self) -> None:
        self._over = True
        with suppress(RecorderError):
            self._acknowledged()  # a part that lands after the upload was dropped would stay
        self._buffer = self._spare = bytearray()

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except RecorderError:
            with suppress(StorageError):
                self.abort()
            raise


class Target:
    """The requests of one upload or copy. Not thread-safe, except that one `part` may be under way."""

    def __init__(
        self, bucket: Bucket, key: str, tags: Mapping[str, str], upload_id: str, truth: Callable[[], StoreTruth]
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._full = bucket.full(key)
        self._tags = dict(tags)
        self._id = upload_id
        self._truth = truth
        self._multipart = ""
        self._parts: list[dict[str, Any]] = []
        self._finishing = False  # from here on the object may be there

    @property
    def begun(self) -> bool:
        return bool(self._multipart)

    def begin(self) -> None:
        if not self.begun:
            self._multipart = self._bucket.ask("create_multipart_upload", Key=self._full, **self._given())["UploadId"]

    def part(self, body: bytearray) -> None:
        number = len(self._parts) + 1
        answer = self._bucket.ask("upload_part", Key=self._full, UploadId=self._multipart, PartNumber=number, Body=body)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def copied_part(self, source: str, start: int, stop: int) -> None:
        number = len(self._parts) + 1
        answer = self._bucket.ask(
            "upload_part_copy",
            Key=self._full,
            UploadId=self._multipart,
            PartNumber=number,
            CopySource={"Bucket": self._bucket.name, "Key": source},
            CopySourceRange=f"bytes={start}-{stop - 1}",
        )
        self._parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})

    def put(self, body: bytearray) -> None:
        self._finish("put_object", self._truth().conditional_writes, Body=body, **self._given())

    def complete(self) -> None:
        parts = {"Parts": self._parts}
        conditional = self._truth().conditional_multipart
        self._finish("complete_multipart_upload", conditional, UploadId=self._multipart, MultipartUpload=parts)

    def copy(self, source: str) -> None:
        """Copy from a full key. Stores support no conditions for copies."""
        place = {"Bucket": self._bucket.name, "Key": source}
        directives = {"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}
        self._finish("copy_object", False, CopySource=place, **directives, **self._given())

    def settle(self) -> int:
        """See that the object is there, ours, and tagged; gives its size as the store has it."""
        seen = look(self._bucket, self._full)
        if seen is None:
            raise StoreUnavailableError("the store lost an object that it had accepted")
        if seen["Metadata"].get(UPLOAD) != self._id:
            raise ConflictError("there is another object of this key")
        if self._tags and seen.get("TagCount") != len(self._tags) and self._kept_tags() != self._tags:
            pairs = [{"Key": name, "Value": value} for name, value in self._tags.items()]
            self._bucket.ask("put_object_tagging", Key=self._full, Tagging={"TagSet": pairs})
            if self._kept_tags() != self._tags:
                raise StoreUnavailableError("the store does not keep tags")
        return int(seen["ContentLength"])

    def drop(self) -> None:
        """Remove whatever we have put under the key, if there is anything."""
        if self._multipart:
            versions.abort(self._bucket, self._key, self._multipart)
        if self._finishing and self._ours():
            versions.removed(self._bucket, [self._key], batch=False)

    def _given(self) -> dict[str, Any]:
        given: dict[str, Any] = {"Metadata": {UPLOAD: self._id}}
        return given | {"Tagging": urlencode(self._tags)} if self._tags else given

    def _kept_tags(self) -> dict[str, str]:
        return tags(self._bucket, self._full)

    def _finish(self, operation: str, conditional: bool, **arguments: Any) -> None:
        """Send the request that makes the object visible; if the key is taken, the store refuses it, or else we do.

        A request that is sent again after a lost answer finds our own object there: that is no conflict.
        """
        if conditional:
            arguments["IfNoneMatch"] = "*"
        elif look(self._bucket, self._full) is not None:
            raise ConflictError("there is already an object of this key")
        self._finishing = True
        try:
            self._bucket.ask(operation, Key=self._full, **arguments)
        except (ConflictError, ObjectNotFoundError):
            if not self._ours():
                raise

    def _ours(self) -> bool:
        seen = look(self._bucket, self._full)
        return seen is not None and seen["Metadata"].get(UPLOAD) == self._id


def look(bucket: Bucket, full: str) -> dict[str, Any] | None:
    """The object's head; None where there is no object (or no bucket: an answer to HEAD does not say which)."""
    try:
        return bucket.ask("head_object", Key=full)
    except ObjectNotFoundError:
        return None


def tags(bucket: Bucket, full: str) -> dict[str, str]:
    answer = bucket.ask("get_object_tagging", Key=full)
    return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", ())}
