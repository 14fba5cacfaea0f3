"""Errors people can act on: credentials, a missing or full bucket, nobody there, a store that is silent, a clock that
is wrong.
"""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import StoreClockError, StoreFullError, StoreRefusedError, StoreUnavailableError
from storage.objects_s3 import S3Store
from storage.objects_s3.uploading import PART
from tests.objects import KEY, get, put
from tests.servers.between import Middleman
from tests.servers.ceph import Cluster


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
