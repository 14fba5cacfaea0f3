"""Everything a bucket has under a key: each version and marker, and each unfinished upload. Found, and removed.

Deleting by name only hides in a versioned bucket, so nothing here deletes by name alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.errors import ObjectNotFoundError, StoreRefusedError, StoreUnavailableError
from storage.objects_s3.client import Bucket, onward

BATCH = 1000  # what one DeleteObjects takes
PAGE = 1000  # what one listing gives
ROUNDS = 2
PASSING = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "OperationAborted"})
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload"})


@dataclass(frozen=True)
class Piece:
    """A version or marker of a key, or an unfinished upload."""

    key: str
    id: str
    unfinished: bool = False


def found(bucket: Bucket, keys: Sequence[str]) -> list[Piece]:
    """Everything there is under exactly these keys; others that merely begin alike are left out."""
    return [*_versions(bucket, keys), *_uploads(bucket, keys)] if keys else []


def removed(bucket: Bucket, keys: Sequence[str], *, batch: bool) -> dict[str, int]:
    """Remove everything of these keys, look again, and say how many pieces of each went.

    Raises `StoreRefusedError` where the store will not let go of something, after the rest is gone.
    """
    gone: Counter[str] = Counter()
    left = found(bucket, keys)
    for _ in range(ROUNDS):
        if not left:
            break
        _remove(bucket, left, batch=batch)
        before, left = left, found(bucket, keys)
        gone.update(piece.key for piece in set(before) - set(left))
    if left:
        raise StoreRefusedError(f"the store still shows {len(left)} versions or uploads that it was told to delete")
    return {key: gone[key] for key in keys}


def _versions(bucket: Bucket, keys: Sequence[str]) -> Iterator[Piece]:
    """One listing that leaps from wanted key to wanted key: no more requests than keys, nor than pages."""
    wanted = sorted({bucket.full(key) for key in keys})
    marker: dict[str, str] = {}
    while True:
        page = bucket.ask("list_object_versions", Prefix=_common(wanted), MaxKeys=PAGE, **marker)
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if _among(wanted, entry["Key"]):
                yield Piece(bucket.own(entry["Key"]), entry["VersionId"])
        before, marker = marker, onward(page, marker, KeyMarker="NextKeyMarker", VersionIdMarker="NextVersionIdMarker")
        if not marker:
            return
        last = marker["KeyMarker"]
        if last < before.get("KeyMarker", ""):
            raise StoreUnavailableError("the store's listing goes back")
        if not _among(wanted, last):  # else there may be more versions of it
            after = bisect_right(wanted, last)
            if after == len(wanted):
                return
            if wanted[after][:-1] > last:
                marker = {"KeyMarker": wanted[after][:-1]}  # the listing begins after its marker


def _uploads(bucket: Bucket, keys: Sequence[str]) -> Iterator[Piece]:
    """The unfinished uploads of these keys; there are few in the whole bucket."""
    wanted = sorted({bucket.full(key) for key in keys})
    marker: dict[str, str] = {}
    while True:
        page = bucket.ask("list_multipart_uploads", Prefix=_common(wanted), MaxUploads=PAGE, **marker)
        for entry in page.get("Uploads", ()):
            if _among(wanted, entry["Key"]):
                yield Piece(bucket.own(entry["Key"]), entry["UploadId"], unfinished=True)
        marker = onward(page, marker, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
        if not marker:
            return


def _common(wanted: Sequence[str]) -> str:
    """What all of these begin with; they are sorted."""
    first, last = wanted[0], wanted[-1]
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:length]


def _among(wanted: Sequence[str], key: str) -> bool:
    after = bisect_right(wanted, key)
    return after > 0 and wanted[after - 1] == key


def _remove(bucket: Bucket, pieces: Sequence[Piece], *, batch: bool) -> None:
    versions = [piece for piece in pieces if not piece.unfinished]
    errors: list[str] = []
    if batch and len(versions) > 1:
        for at in range(0, len(versions), BATCH):
            some = versions[at : at + BATCH]
            objects = [{"Key": bucket.full(piece.key), "VersionId": piece.id} for piece in some]
            answer = bucket.ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
            errors += [str(error.get("Code")) for error in answer.get("Errors", ())]
    else:
        for piece in versions:
            errors += _tried(bucket, "delete_object", Key=bucket.full(piece.key), VersionId=piece.id)
    for piece in pieces:
        if piece.unfinished:
            abort(bucket, piece.key, piece.id)
    errors = [code for code in errors if code not in GONE]
    if errors:
        text = f"the store does not let go of {len(errors)} versions: {', '.join(sorted(set(errors)))}"
        raise (StoreUnavailableError if set(errors) <= PASSING else StoreRefusedError)(text)


def abort(bucket: Bucket, key: str, upload_id: str) -> None:
    """Drop an unfinished upload; one that the store does not know counts as dropped."""
    try:
        bucket.ask("abort_multipart_upload", Key=bucket.full(key), UploadId=upload_id)
    except ObjectNotFoundError:
        return


def _tried(bucket: Bucket, operation: str, **arguments: Any) -> list[str]:
    try:
        bucket.ask(operation, **arguments)
    except ObjectNotFoundError:
        return []
    except StoreRefusedError:
        return ["AccessDenied"]
    return []
