"""P6: whatever request, answer or piece of a body is lost on the way, an object is there once and whole, or not at all,
and a body that breaks off is no end.
"""

from __future__ import annotations

import os

import pytest

from storage.errors import StoreUnavailableError
from storage.objects import BLOCK
from storage.objects_s3 import S3Store
from storage.objects_s3.uploading import PART
from tests.objects import KEY, TAGS, get, put
from tests.servers import between
from tests.servers.between import Middleman


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
