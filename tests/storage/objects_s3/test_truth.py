"""What a store is found to be: whose, with which versions, locks, doors to the public and rights; asked once."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StoreRefusedError
from storage.objects_s3 import S3Store
from storage.objects_s3.uploading import PART
from storage.probe import store_faults
from tests.objects import KEY, TAGS, put
from tests.servers.between import Middleman
from tests.servers.ceph import Cluster


def test_the_truth_about_ceph(ceph: Cluster, store: S3Store, client: Any) -> None:
    truth = store.truth()

    assert truth.ranges
    assert truth.batch_delete
    assert truth.tags_single
    assert not truth.tags_multipart  # accepted, and dropped
    assert truth.tags_later
    assert truth.uploads_listed
    assert truth.deletes_for_good
    assert (truth.versioning, truth.object_lock, truth.replicated, truth.public) == ("off", False, False, False)
    assert (truth.backstop, truth.strangers, truth.aws) == ((), (), False)
    listed = client.list_object_versions(Bucket=store.bucket.name)
    assert "Versions" not in listed
    assert "DeleteMarkers" not in listed
    assert "Uploads" not in client.list_multipart_uploads(Bucket=store.bucket.name)


def test_the_truth_about_versions_locks_and_the_public(ceph: Cluster, versioned: S3Store, client: Any) -> None:
    assert versioned.truth().versioning == "on"
    assert not versioned.truth().conditional_writes  # accepted, and ignored
    client.put_bucket_versioning(Bucket=versioned.bucket.name, VersioningConfiguration={"Status": "Suspended"})
    assert versioned.truth(anew=True).versioning == "suspended"
    client.put_bucket_acl(Bucket=versioned.bucket.name, ACL="public-read")
    assert versioned.truth(anew=True).public
    locked = ceph.store(ceph.bucket(ObjectLockEnabledForBucket=True))
    assert locked.truth().object_lock


def test_the_policy_in_the_manual_is_all_that_is_needed(ceph: Cluster, client: Any) -> None:
    """Somebody else's buckets, and the rights of docs/examples/s3-policy.json."""
    name = f"limited-{secrets.token_hex(4)}"
    limited = Cluster(ceph.endpoint, secrets.token_hex(10), secrets.token_hex(20), folder=ceph.folder)
    keys = (f"--access-key={limited.access_key}", f"--secret={limited.secret_key}")
    ceph.admin("user", "create", f"--uid={name}", f"--display-name={name}", *keys)
    bucket = ceph.bucket(versioned=True)
    store = limited.store(bucket)
    with pytest.raises(StoreRefusedError):
        store.truth()

    policy = (Path(__file__).parents[3] / "docs" / "examples" / "s3-policy.json").read_text("utf-8")
    policy = policy.replace("BUCKET", bucket).replace("PRINCIPAL", f"arn:aws:iam:::user/{name}")
    client.put_bucket_policy(Bucket=bucket, Policy=policy)
    store.set_backstop(["private_inbound/"])
    truth = store.truth()
    assert list(store_faults(truth, region="")) == []
    assert (truth.backstop, truth.object_lock, truth.replicated) == (("private_inbound/",), False, False)
    assert truth.batch_delete
    put(store, KEY, bytes(PART + 1), TAGS)
    assert store.copy(KEY, "hold/private_inbound/1", {"hold": "1"}) == PART + 1
    assert store.delete_many([KEY, "hold/private_inbound/1"]) == {KEY: 1, "hold/private_inbound/1": 1}
    assert store.remaining(KEY) == 0


def test_a_store_is_asked_once(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    assert store.truth() is store.truth()
    assert middleman.requests == []
