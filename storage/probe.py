"""What a store was found to do, and what of it would break a promise.

Pure: `objects_s3` asks the store; people, and the service when it starts, read the answers. Stores accept what they
then do not do (tags dropped, conditions ignored, deletions that only hide), so nothing here is taken from a manual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

EEA_REGIONS = ("eu-north-1", "eu-west-1", "eu-west-3", "eu-central-1", "eu-south-1", "eu-south-2", "eusc-de-east-1")

Versioning = Literal["off", "on", "suspended"]


@dataclass(frozen=True)
class StoreTruth:
    """The answers of one store. None: it may not be asked, or does not say."""

    name: str
    ranges: bool = True
    conditional_writes: bool = True  # a second object of a key is refused by the store itself
    conditional_multipart: bool = True
    batch_delete: bool = True
    tags_single: bool = True  # kept as given with an object in one request
    tags_multipart: bool = True  # … in several
    tags_later: bool = True  # … where they are set again
    uploads_listed: bool = True
    deletes_for_good: bool = True
    versioning: Versioning = "off"
    object_lock: bool | None = False
    replicated: bool | None = False
    public: bool = False
    aws: bool = False
    region: str | None = None
    backstop: tuple[str, ...] | None = ()  # key prefixes that our lifecycle rules cover
    strangers: tuple[str, ...] = ()  # lifecycle rules of others that reach what we keep


def store_faults(truth: StoreTruth, *, region: str) -> Iterator[str]:
    """Why this store must not keep recordings. `region` is the configured one."""
    if not truth.ranges:
        yield "it does not give ranges of an object"
    if not (truth.tags_later or (truth.tags_single and truth.tags_multipart)):
        yield "it loses tags"
    if not truth.deletes_for_good:
        yield "what is deleted stays"
    if not truth.uploads_listed:
        yield "it does not list unfinished uploads, so that they could not be deleted"
    if truth.object_lock:
        yield "object lock is on: recordings could not be deleted in time"
    if truth.strangers:
        yield f"lifecycle rules of others reach what is kept: {', '.join(truth.strangers)}"
    yield from _anywhere(truth, region)


def ring_faults(truth: StoreTruth, *, region: str) -> Iterator[str]:
    """Why this store must not keep keys: a copy of a key that outlives it opens what must be gone."""
    if truth.versioning != "off":
        yield f"versioning is {truth.versioning}: a bucket that never had it is needed"
    if truth.object_lock:
        yield "object lock is on"
    if truth.replicated:
        yield "it is replicated"
    if not truth.deletes_for_good:
        yield "what is deleted stays"
    yield from _anywhere(truth, region)


def store_doubts(truth: StoreTruth, wanted: tuple[str, ...]) -> Iterator[str]:
    """What is worth knowing though nothing breaks. `wanted` are the prefixes a backstop should cover."""
    if truth.backstop is None:
        yield "its lifecycle rules may not be read: whether there is a backstop is unknown"
    elif missing := sorted(set(wanted) - set(truth.backstop)):
        yield f"there is no lifecycle rule as a backstop for {', '.join(missing)}"
    if truth.versioning != "off":
        yield "versions are kept: deleting takes more requests, and what is deleted by hand is only hidden"
    if truth.replicated:
        yield "it is replicated: deleting here does not delete there; the copies open for nobody once their key is gone"
    for asked, what in (
        (truth.object_lock, "object lock"),
        (truth.replicated, "replication"),
        (truth.public, "access"),
    ):
        if asked is None:
            yield f"its {what} may not be asked for"
    if not truth.conditional_writes:
        yield "it ignores conditions on writes (nothing relies on them)"


def _anywhere(truth: StoreTruth, region: str) -> Iterator[str]:
    if truth.public:
        yield "it is open to the public"
    if truth.aws and truth.region is not None:
        if truth.region not in EEA_REGIONS:
            yield f"it lies in {truth.region}, outside the EU/EEA"
        if region and truth.region != region:
            yield f"it lies in {truth.region}, not in {region} as configured"
