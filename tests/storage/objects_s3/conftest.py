"""Buckets of a real Ceph: plain, versioned, and behind somebody unreliable; and a client of our own to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storage.objects_s3 import S3Store
from tests.servers import between
from tests.servers.between import Middleman
from tests.servers.ceph import Cluster


@pytest.fixture
def store(ceph: Cluster) -> S3Store:
    return ceph.store(ceph.bucket())


@pytest.fixture
def versioned(ceph: Cluster) -> S3Store:
    return ceph.store(ceph.bucket(versioned=True))


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
