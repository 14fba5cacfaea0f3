"""Asks a bucket what it really does, with two small objects of our own that are gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from storage.errors import ConflictError, ObjectNotFoundError, StoreRefusedError, StoreUnavailableError
from storage.objects_s3 import lifecycle, versions
from storage.objects_s3.client import Bucket, OutOfRangeError, UnsupportedError
from storage.objects_s3.uploading import tags
from storage.probe import StoreTruth, Versioning

BODY = b"probe"
TAGS = {"probe": "1", "expires": "2026-12-02"}
TAGGING = "probe=1&expires=2026-12-02"
LEGACY = {"": "us-east-1", "EU": "eu-west-1"}
Answer = TypeVar("Answer")
WONT = (StoreRefusedError, UnsupportedError)


def truth(bucket: Bucket, name: str) -> StoreTruth:
    """Some thirty small requests. Raises `StoreUnavailableError` where the store cannot be asked at all."""
    single, multipart = (f"doctor/{kind}-{secrets.token_hex(8)}" for kind in ("single", "multipart"))
    try:
        found = _written(bucket, single, multipart)
    except BaseException:
        with suppress(StoreUnavailableError):
            versions.removed(bucket, [single, multipart], batch=False)
        raise
    batch = _deletes(bucket, [single, multipart], batch=True)
    gone = batch or _deletes(bucket, [single, multipart], batch=False)
    backstop, strangers = lifecycle.state(bucket)
    return StoreTruth(
        name=name,
        batch_delete=batch,
        deletes_for_good=gone,
        object_lock=_asked(bucket, "get_object_lock_configuration", _locked),
        replicated=_asked(bucket, "get_bucket_replication", _replicated),
        aws=bucket.aws,
        region=_region(bucket),
        backstop=backstop,
        strangers=strangers,
        **found,
    )


def _written(bucket: Bucket, single: str, multipart: str) -> dict[str, Any]:
    _put(bucket, single)
    kept = _tags_kept(bucket, single)
    upload = _upload(bucket, multipart)
    listed = any(piece.unfinished for piece in versions.found(bucket, [multipart]))
    _complete(bucket, multipart, upload)
    kept_too = _tags_kept(bucket, multipart)
    conditional = _refused(lambda: _put(bucket, single, IfNoneMatch="*"))
    conditional_too = _refused(lambda: _complete(bucket, multipart, _upload(bucket, multipart), IfNoneMatch="*"))
    return {
        "ranges": _range(bucket, single),
        "conditional_writes": conditional,
        "conditional_multipart": conditional_too,
        "tags_single": kept,
        "tags_multipart": kept_too,
        "tags_later": kept_too or _tags_set_again(bucket, multipart),
        "uploads_listed": listed,
        "versioning": _versioning(bucket, single),
        "public": _public(bucket, single),
    }


def _put(bucket: Bucket, key: str, **condition: str) -> None:
    try:
        bucket.ask("put_object", Key=bucket.full(key), Body=BODY, Tagging=TAGGING, **condition)
    except UnsupportedError:
        if condition:
            raise
        bucket.ask("put_object", Key=bucket.full(key), Body=BODY)


def _upload(bucket: Bucket, key: str) -> tuple[str, dict[str, Any]]:
    full = bucket.full(key)
    upload_id = bucket.ask("create_multipart_upload", Key=full, Tagging=TAGGING)["UploadId"]
    part = bucket.ask("upload_part", Key=full, UploadId=upload_id, PartNumber=1, Body=BODY)
    return upload_id, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}


def _complete(bucket: Bucket, key: str, upload: tuple[str, dict[str, Any]], **condition: str) -> None:
    upload_id, parts = upload
    bucket.ask(
        "complete_multipart_upload", Key=bucket.full(key), UploadId=upload_id, MultipartUpload=parts, **condition
    )


def _refused(write: Callable[[], None]) -> bool:
    try:
        write()
    except ConflictError:
        return True
    except UnsupportedError:
        return False
    return False


def _tags_kept(bucket: Bucket, key: str) -> bool:
    try:
        return tags(bucket, bucket.full(key)) == TAGS
    except (*WONT, ObjectNotFoundError):
        return False


def _tags_set_again(bucket: Bucket, key: str) -> bool:
    pairs = [{"Key": name, "Value": value} for name, value in TAGS.items()]
    try:
        bucket.ask("put_object_tagging", Key=bucket.full(key), Tagging={"TagSet": pairs})
    except WONT:
        return False
    return _tags_kept(bucket, key)


def _range(bucket: Bucket, key: str) -> bool:
    try:
        answer = bucket.ask("get_object", Key=bucket.full(key), Range="bytes=1-3")
    except (UnsupportedError, OutOfRangeError):
        return False
    with bucket.translated():
        body: bytes = answer["Body"].read()
    return (body, answer.get("ContentRange")) == (BODY[1:4], f"bytes 1-3/{len(BODY)}")


def _versioning(bucket: Bucket, key: str) -> Versioning:
    """As the bucket says; where it may not be asked, judged by what became of a key written twice."""
    try:
        status = bucket.ask("get_bucket_versioning").get("Status")
    except WONT:
        return "on" if any(piece.id not in {"", "null"} for piece in versions.found(bucket, [key])) else "off"
    said: dict[str | None, Versioning] = {"Enabled": "on", "Suspended": "suspended"}
    return said.get(status, "off")


def _deletes(bucket: Bucket, keys: list[str], *, batch: bool) -> bool:
    try:
        versions.removed(bucket, keys, batch=batch)
    except WONT:
        return False
    return True


def _asked(bucket: Bucket, operation: str, read: Callable[[Mapping[str, Any]], Answer]) -> Answer | None:
    """What a configuration says; None where it may not be asked. One that is absent reads as an empty one."""
    try:
        return read(bucket.ask(operation))
    except ObjectNotFoundError:
        return read({})
    except WONT:
        return None


def _locked(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def _replicated(answer: Mapping[str, Any]) -> bool:
    rules = answer.get("ReplicationConfiguration", {}).get("Rules", ())
    return any(rule.get("Status") == "Enabled" for rule in rules)


def _public(bucket: Bucket, key: str) -> bool:
    """Whether anybody may read or list, by trying it: what stores say about their own policies is not always true."""
    anybody = bucket.for_anybody()
    for operation, arguments in (("head_object", {"Key": bucket.full(key)}), ("list_objects_v2", {"MaxKeys": 1})):
        with suppress(*WONT, ObjectNotFoundError):
            anybody.ask(operation, **arguments)
            return True
    return False


def _region(bucket: Bucket) -> str | None:
    def read(answer: Mapping[str, Any]) -> str:
        said = answer.get("LocationConstraint") or ""
        return LEGACY.get(said, said)

    return _asked(bucket, "get_bucket_location", read)
