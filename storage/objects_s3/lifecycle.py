"""The bucket's own rules: a backstop should we ever fail to delete, and a look at what others have set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storage.errors import ObjectNotFoundError, StoreRefusedError
from storage.objects import HELD
from storage.objects_s3.client import Bucket, UnsupportedError

DAYS = 91  # from the upload, which is never before the end of the call: so always after our own deletion


def set_backstop(bucket: Bucket, prefixes: Sequence[str], days: int = DAYS) -> bool:
    """Set our rules for these prefixes, leaving those of others alone; returns whether anything had to be written."""
    wanted = [rule for prefix in prefixes for rule in _rules(bucket.full(prefix), days)]
    ids = {rule["ID"] for rule in wanted}
    present = _present(bucket)
    ours = [_essence(rule) for rule in present if rule.get("ID") in ids]
    if sorted(ours) == sorted(_essence(rule) for rule in wanted):
        return False
    others = [rule for rule in present if rule.get("ID") not in ids]
    bucket.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [*others, *wanted]})
    return True


def state(bucket: Bucket) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The prefixes that a rule covers from day 91 on (None: it may not be asked), and ids of rules that harm us."""
    try:
        rules = [rule for rule in _present(bucket) if rule.get("Status") == "Enabled"]
    except (StoreRefusedError, UnsupportedError):
        return None, ()
    covered = [
        bucket.own(_prefix(rule))
        for rule in rules
        if _days(rule) >= DAYS and not _narrowed(rule) and _prefix(rule).startswith(bucket.prefix)
    ]
    return tuple(sorted(covered)), tuple(str(rule.get("ID") or "unnamed") for rule in rules if _harmful(bucket, rule))


def _rules(prefix: str, days: int) -> Iterator[dict[str, Any]]:
    """Two, because one rule cannot name both markers and days. What a marker hides goes a day after it was hidden."""
    common = {"Status": "Enabled", "Filter": {"Prefix": prefix}}
    yield common | {
        "ID": f"recorder:{prefix}expire",
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    yield common | {"ID": f"recorder:{prefix}markers", "Expiration": {"ExpiredObjectDeleteMarker": True}}


def _present(bucket: Bucket) -> list[dict[str, Any]]:
    try:
        return list(bucket.ask("get_bucket_lifecycle_configuration").get("Rules", ()))
    except ObjectNotFoundError:
        return []


def _essence(rule: Mapping[str, Any]) -> str:
    """What a rule says, however a store spells it back."""
    parts = ("ID", "Status", "Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    return repr([_prefix(rule), *(rule.get(part) for part in parts)])


def _prefix(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    prefix: str = chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
    return prefix


def _narrowed(rule: Mapping[str, Any]) -> bool:
    chosen = rule.get("Filter") or {}
    return bool(set(chosen) - {"Prefix"})


def _days(rule: Mapping[str, Any]) -> int:
    return int(rule.get("Expiration", {}).get("Days", 0))


def _harmful(bucket: Bucket, rule: Mapping[str, Any]) -> bool:
    """Whether it deletes what is kept, or moves it where it cannot be read at once."""
    deletes = "Date" in rule.get("Expiration", {}) or _days(rule) > 0
    early = "Date" in rule.get("Expiration", {}) or 0 < _days(rule) < DAYS
    if rule.get("Transitions") or early:
        return _overlap(_prefix(rule), bucket.prefix)
    return deletes and _overlap(_prefix(rule), bucket.full(HELD))


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
