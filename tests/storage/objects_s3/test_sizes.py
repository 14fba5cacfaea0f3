"""Large objects: copied in parts, and in memory no more at once than for small ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import ObjectNotFoundError
from storage.objects_s3 import S3Store, uploading
from storage.objects_s3.uploading import PART
from tests.objects import KEY, TAGS, get, put
from tests.servers.ceph import Cluster


def test_a_large_object_is_copied_in_parts(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.objects_s3.store.COPY_PART", 5 * 1024 * 1024)
    data = os.urandom(12 * 1024 * 1024)
    put(store, KEY, data, TAGS)

    assert store.copy(KEY, "hold/private_inbound/1", {"hold": "1"}) == len(data)
    assert get(store, "hold/private_inbound/1") == data
    assert store.tags("hold/private_inbound/1") == {"hold": "1"}
    assert store.remaining("hold/private_inbound/1") == 1


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
        root = Path(__file__).parents[3]
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
