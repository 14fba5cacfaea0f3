"""P3: of a bucket that keeps versions and markers all go, and of what is locked the rest."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from storage.errors import StoreRefusedError
from storage.objects_s3 import S3Store, versions
from tests.objects import KEY, put
from tests.servers.between import Middleman
from tests.servers.ceph import Cluster


def test_p3_every_version_and_marker_goes_and_no_other_keys(versioned: S3Store, client: Any) -> None:
    bucket, full = versioned.bucket.name, versioned.bucket.full(KEY)
    put(versioned, KEY)
    put(versioned, f"{KEY}0")
    client.delete_object(Bucket=bucket, Key=full)  # by hand, in a console: only hidden
    client.put_object(Bucket=bucket, Key=full, Body=b"again")
    client.create_multipart_upload(Bucket=bucket, Key=full)

    assert versioned.remaining(KEY) == 4
    assert versioned.delete(KEY) == 4
    assert versioned.remaining(KEY) == 0
    listed = client.list_object_versions(Bucket=bucket)
    assert [one["Key"] for one in listed["Versions"]] == [f"{full}0"]
    assert "DeleteMarkers" not in listed


def test_p3_pages_of_neighbours_hide_nothing(versioned: S3Store, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PAGE", 2)
    keys = [f"a/{number:02d}" for number in range(12)]
    for key in keys:
        put(versioned, key)
    for _ in range(3):
        client.put_object(Bucket=versioned.bucket.name, Key=versioned.bucket.full(keys[4]), Body=b"again")
        client.create_multipart_upload(Bucket=versioned.bucket.name, Key=versioned.bucket.full(keys[4]))

    gone = [keys[4], keys[0], keys[11]]
    assert versioned.delete_many(gone) == {keys[4]: 7, keys[0]: 1, keys[11]: 1}
    assert [versioned.remaining(key) for key in keys] == [int(key not in gone) for key in keys]


def test_a_thousand_go_in_one_request_and_a_few_listings(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    keys = [f"private_inbound/20261202/{secrets.token_hex(16)}" for _ in range(40)]
    for key in keys:
        put(store, key)
    middleman.requests.clear()

    assert sum(store.delete_many(keys).values()) == 40
    assert middleman.count("POST", "?delete") == 1
    assert middleman.count("DELETE") == 0
    assert len(middleman.requests) == 5  # objects and uploads are listed before and after


def test_p3_what_is_locked_is_refused_by_name_and_the_rest_goes(ceph: Cluster, client: Any) -> None:
    bucket = ceph.bucket(ObjectLockEnabledForBucket=True)
    store = ceph.store(bucket)
    for key in ("a/1", "a/2", "a/3"):
        put(store, key)
    place = {"Bucket": bucket, "Key": store.bucket.full("a/2")}
    client.put_object_legal_hold(**place, LegalHold={"Status": "ON"})

    with pytest.raises(StoreRefusedError, match="does not let go of 1"):
        store.delete_many(["a/1", "a/2", "a/3"])
    with pytest.raises(StoreRefusedError):
        store.delete("a/2")
    assert [store.remaining(key) for key in ("a/1", "a/2", "a/3")] == [0, 1, 0]

    client.put_object_legal_hold(**place, LegalHold={"Status": "OFF"})
    assert store.delete_many(["a/1", "a/2", "a/3"]) == {"a/1": 0, "a/2": 1, "a/3": 0}
