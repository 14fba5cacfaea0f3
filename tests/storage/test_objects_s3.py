"""What only buckets can do to us: versions, markers, locks, lost answers, broken bodies, clocks, rules of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.errors import (
    ObjectNotFoundError,
    StoreClockError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from storage.objects import BLOCK
from storage.objects_s3 import S3Store, lifecycle, uploading, versions
from storage.objects_s3.uploading import PART
from storage.probe import store_faults
from tests.conftest import MEMORY
from tests.servers import between
from tests.servers.between import Middleman
from tests.servers.ceph import Cluster, ceph_gateway

KEY = "private_inbound/20261202/0f1e2d"
TAGS = {"segment": "private_inbound", "expires": "2026-12-02"}


@pytest.fixture
def store(ceph: Cluster) -> S3Store:
    return ceph.store(ceph.bucket())


@pytest.fixture
def versioned(ceph: Cluster) -> S3Store:
    return ceph.store(ceph.bucket(versioned=True))


@pytest.fixture
def hasty(ceph: Cluster) -> Iterator[Cluster]:
    """A cluster of its own in which a "day" of lifecycle rules lasts two seconds.

    Rules are carried out under locks, and of those a gateway holds that other tests kill, nobody lets go for long.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-ceph-", dir=MEMORY))
    with ceph_gateway(folder / "c", lifecycle_day_s=2) as cluster:
        yield cluster
    shutil.rmtree(folder)


@pytest.fixture
def client(ceph: Cluster) -> Iterator[Any]:
    client = ceph.client()
    yield client
    client.close()


@pytest.fixture
def far(ceph: Cluster) -> Iterator[tuple[S3Store, Middleman]]:
    """A store that is reached through somebody unreliable."""
    with between.between(ceph.endpoint) as middleman:
        store = ceph.store(ceph.bucket(), endpoint=middleman.endpoint)
        store.truth()
        middleman.requests.clear()
        yield store, middleman


def put(store: S3Store, key: str, data: bytes = b"x", tags: dict[str, str] | None = None) -> None:
    upload = store.create(key, tags or {})
    upload.write(data)
    upload.commit()


def get(store: S3Store, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(store.read(key, start, stop))


# -- versions, markers, locks


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


# -- what is lost on the way


@pytest.mark.parametrize("size", [1000, 2 * PART + 1000])
@pytest.mark.parametrize("fate", ["lose the request", "lose the answer"])
def test_p6_whatever_request_is_lost_the_object_is_there_once_and_whole(
    far: tuple[S3Store, Middleman], size: int, fate: between.Fate
) -> None:
    store, middleman = far
    lost: set[str] = set()

    def each_once(request: between.Request) -> between.Fate:
        kind = f"{request.method} {request.path.split('uploadId')[0]} {'uploadId' in request.path}"
        if kind in lost or request.method in {"GET", "HEAD"}:
            return "pass"
        lost.add(kind)
        return fate

    middleman.decide = each_once
    data = os.urandom(size)
    put(store, KEY, data, TAGS)

    assert get(store, KEY) == data
    assert store.tags(KEY) == TAGS
    assert store.remaining(KEY) <= 1 + (fate == "lose the answer" and size > PART)  # an upload nobody heard of
    store.delete(KEY)
    assert store.remaining(KEY) == 0
    assert lost


def test_p2_what_is_sent_again_is_the_same_ciphertext(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    middleman.once("lose the request", "PUT", "partNumber=2")
    upload = store.create(KEY, {})
    for _ in range(3 * PART // BLOCK):
        upload.write(os.urandom(BLOCK))
    upload.commit()

    second = [one.body for one in middleman.requests if "partNumber=2" in one.path]
    assert len(second) == 2
    assert second[0] == second[1]


def test_a_failed_upload_leaves_nothing_behind(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    middleman.decide = lambda request: "lose the request" if "partNumber=2" in request.path else "pass"
    upload = store.create(KEY, {})
    with pytest.raises(StoreUnavailableError):
        for _ in range(4):
            upload.write(bytes(PART))

    assert store.remaining(KEY) == 0
    upload.abort()


def test_p6_a_body_that_breaks_off_is_read_on_from_there(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    data = os.urandom(6 * BLOCK)
    put(store, KEY, data)
    middleman.requests.clear()
    middleman.decide = lambda request: 2 * BLOCK + 77 if request.method == "GET" else "pass"

    assert get(store, KEY, 5, len(data) - 5) == data[5:-5]
    assert middleman.count("GET") == 3


def test_p6_a_body_that_never_comes_is_an_error_and_not_an_end(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    put(store, KEY, os.urandom(2 * BLOCK))
    middleman.decide = lambda request: BLOCK - 1 if request.method == "GET" else "pass"

    with pytest.raises(StoreUnavailableError):
        get(store, KEY)


def test_a_read_given_up_early_is_not_read_on(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    put(store, KEY, os.urandom(4 * BLOCK))
    middleman.requests.clear()
    blocks = store.read(KEY)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]

    assert middleman.count("GET") == 1


# -- errors people can act on


def told(error: Exception, *secrets_: str) -> str:
    text = f"{error} {error.__cause__} {error.__context__ if not error.__suppress_context__ else ''}"
    assert not any(secret in text for secret in (*secrets_, KEY))
    return str(error)


def test_wrong_credentials_are_told_apart_and_never_told(ceph: Cluster) -> None:
    wrong = Cluster(ceph.endpoint, ceph.access_key, "wrong" * 8)
    store = wrong.store(ceph.bucket())
    for ask in (store.size, store.delete, lambda key: get(store, key), lambda key: put(store, key)):
        with pytest.raises(StoreRefusedError) as caught:
            ask(KEY)
        told(caught.value, wrong.access_key, wrong.secret_key)


def test_no_credentials_at_all(ceph: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    store = S3Store("bucket", endpoint_url=ceph.endpoint)
    with pytest.raises(StoreRefusedError, match="no credentials"):
        store.size(KEY)


def test_p3_a_missing_bucket_is_a_store_that_is_away(ceph: Cluster) -> None:
    store = ceph.store("recorder-nowhere")
    asks = [store.size, store.delete, store.remaining, store.tags, lambda key: get(store, key)]
    asks += [lambda key: put(store, key), lambda key: list(store.keys(key))]
    for ask in asks:
        with pytest.raises(StoreUnavailableError) as caught:
            ask(KEY)
        told(caught.value)


def test_p6_nobody_there_is_said_within_seconds(ceph: Cluster) -> None:
    began = time.monotonic()
    store = ceph.store("bucket", endpoint="http://127.0.0.1:1")
    with pytest.raises(StoreUnavailableError) as caught:
        store.size(KEY)
    assert caught.value.code == "store_unavailable"
    told(caught.value)
    assert time.monotonic() - began < 20


def test_p6_a_store_that_never_answers_is_given_up(ceph: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.objects_s3.client.READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = ceph.store("bucket", endpoint=endpoint)
        with pytest.raises(StoreUnavailableError):
            store.size(KEY)


def test_p6_a_full_bucket_says_so(ceph: Cluster) -> None:
    bucket = ceph.bucket()
    store = ceph.store(bucket)
    store.truth()
    ceph.admin("quota", "set", "--quota-scope=bucket", f"--bucket={bucket}", "--max-size=4096")
    ceph.admin("quota", "enable", "--quota-scope=bucket", f"--bucket={bucket}")
    for data in (bytes(1_000_000), bytes(PART + 1)):
        with pytest.raises(StoreFullError):
            put(store, KEY, data)
    assert store.remaining(KEY) == 0


def test_a_clock_that_is_wrong_is_named(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: datetime.now(UTC) + timedelta(minutes=20))
    with pytest.raises(StoreClockError, match="clock"):
        put(store, KEY)
    # An answer without a body cannot say it: ours is compared with its date.
    monkeypatch.setattr("storage.objects_s3.client.utc_now", lambda: datetime.now(UTC) + timedelta(minutes=20))
    with pytest.raises(StoreClockError):
        store.size(KEY)
    said = store.clock()
    assert said is not None
    assert abs(said - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_stores_time_comes_with_its_answers(far: tuple[S3Store, Middleman]) -> None:
    store, middleman = far
    put(store, KEY)
    middleman.requests.clear()

    said = store.clock()
    assert said is not None
    assert abs(said - datetime.now(UTC)) < timedelta(seconds=5)
    assert middleman.requests == []


# -- copies and rules


def test_a_large_object_is_copied_in_parts(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.objects_s3.store.COPY_PART", 5 * 1024 * 1024)
    data = os.urandom(12 * 1024 * 1024)
    put(store, KEY, data, TAGS)

    assert store.copy(KEY, "hold/private_inbound/1", {"hold": "1"}) == len(data)
    assert get(store, "hold/private_inbound/1") == data
    assert store.tags("hold/private_inbound/1") == {"hold": "1"}
    assert store.remaining("hold/private_inbound/1") == 1


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


# -- what it is found to be


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

    policy = (Path(__file__).parents[2] / "docs" / "examples" / "s3-policy.json").read_text("utf-8")
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


# -- memory

SCRIPT = """
import os, sys
from storage.objects_s3 import S3Store

store = S3Store(sys.argv[1], endpoint_url=sys.argv[2], region="eu-north-1")
store.truth()
upload, block = store.create("a/b", {}), os.urandom(1 << 18)
for _ in range(int(sys.argv[3]) * 4):
    upload.write(block)
upload.commit()
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def test_memory_is_the_same_for_hundreds_of_megabytes_as_for_some(ceph: Cluster) -> None:
    def peak_mib(size_mib: int) -> float:
        command = [sys.executable, "-c", SCRIPT, ceph.bucket(), ceph.endpoint, str(size_mib)]
        root = Path(__file__).parents[2]
        environment = os.environ | ceph.credentials
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout) / 1024

    assert peak_mib(256) - peak_mib(24) <= 8


def test_an_upload_holds_two_parts_at_most(store: S3Store) -> None:
    upload = store.create(KEY, {})
    for _ in range(5):
        upload.write(bytes(uploading.PART))
        assert len(upload._buffer) + len(upload._spare) <= 2 * PART
    upload.abort()
    with pytest.raises(ObjectNotFoundError):
        store.size(KEY)
