"""Lifecycle rules: ours delete what we failed to, never what is held; those of others stay, and are found where they
reach ours.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from storage.objects_s3 import S3Store, lifecycle
from tests.conftest import MEMORY
from tests.objects import KEY, get, put
from tests.servers.ceph import Cluster, ceph_gateway


@pytest.fixture
def hasty(ceph: Cluster) -> Iterator[Cluster]:
    """A cluster of its own in which a "day" of lifecycle rules lasts two seconds.

    Rules are carried out under locks, and of those a gateway holds that other tests kill, nobody lets go for long.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-ceph-", dir=MEMORY))
    with ceph_gateway(folder / "c", lifecycle_day_s=2) as cluster:
        yield cluster
    shutil.rmtree(folder)


def test_p3_the_buckets_own_rule_deletes_what_we_failed_to_and_never_what_is_held(
    hasty: Cluster,
) -> None:
    versioned, client = hasty.store(hasty.bucket(versioned=True)), hasty.client()
    others = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 400}}
    bucket = versioned.bucket.name
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [others]})
    put(versioned, KEY)
    put(versioned, "hold/private_inbound/1", b"held")
    versioned.copy(KEY, "hold/private_inbound/2", {})
    put(versioned, "elsewhere/1", b"kept")

    assert lifecycle.set_backstop(versioned.bucket, ["private_inbound/"], days=1)
    deadline = time.monotonic() + 120
    while versioned.remaining(KEY) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert versioned.remaining(KEY) == 0
    assert get(versioned, "hold/private_inbound/1") == b"held"
    assert get(versioned, "hold/private_inbound/2") == b"x"
    assert get(versioned, "elsewhere/1") == b"kept"
    client.close()


def test_rules_are_set_once_and_those_of_others_stay(store: S3Store, client: Any) -> None:
    bucket = store.bucket.name
    others = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [others]})

    assert lifecycle.set_backstop(store.bucket, ["private_inbound/", "business_inbound/"])
    assert not lifecycle.set_backstop(store.bucket, ["private_inbound/", "business_inbound/"])
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert len(rules) == 1 + 2 * 2
    assert store.truth(anew=True).backstop == ("business_inbound/", "private_inbound/")
    assert store.truth().strangers == ()


@pytest.mark.parametrize(
    ("prefix", "rule", "harmful"),
    [
        ("", {"Expiration": {"Days": 30}}, True),
        ("some/where/private", {"Expiration": {"Days": 90}}, True),
        ("some/where/private", {"Expiration": {"Days": 91}}, False),
        ("some/where/hold/", {"Expiration": {"Days": 4000}}, True),
        ("some/", {"Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}}, True),
        ("other/", {"Expiration": {"Days": 1}}, False),
        ("", {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, False),
        ("", {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}, False),
    ],
)
def test_rules_of_others_that_reach_ours_are_found(
    store: S3Store, client: Any, prefix: str, rule: dict[str, Any], harmful: bool
) -> None:
    rules = [{"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": prefix}} | rule]
    client.put_bucket_lifecycle_configuration(Bucket=store.bucket.name, LifecycleConfiguration={"Rules": rules})

    assert lifecycle.state(store.bucket)[1] == (("theirs",) if harmful else ())
