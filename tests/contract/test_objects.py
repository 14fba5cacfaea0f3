"""What every object store must do, checked on each there is."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.errors import (
    ConflictError,
    ObjectNotFoundError,
    RecorderError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from storage.objects import BLOCK, ObjectStore, Upload
from storage.objects_folder import FolderStore
from storage.objects_s3 import S3Store
from storage.objects_s3.uploading import PART
from tests.objects import KEY, TAGS, get, put
from tests.servers.s3 import Gateway


@pytest.fixture(scope="module", params=["folder", "moto", "moto versioned", "ceph", "ceph versioned"])
def kind(request: pytest.FixtureRequest) -> Iterator[S3Store | None]:
    """The bucket that one after the other test writes into, each under a prefix of its own; None for the folder."""
    if request.param == "folder":
        yield None
        return
    gateway: Gateway = request.getfixturevalue(request.param.split()[0])
    yield gateway.store(gateway.bucket(versioned="versioned" in request.param))


@pytest.fixture
def store(kind: S3Store | None, tmp_path: Path) -> ObjectStore:
    if kind is None:
        return FolderStore(tmp_path / "objects")
    kind.bucket.prefix = f"{secrets.token_hex(6)}/"
    return kind


def begun(store: ObjectStore, key: str) -> Upload:
    """An upload that lies in the store already, unfinished: more than fits one request."""
    upload = store.create(key, {})
    upload.write(bytes(PART + 1))
    return upload


def test_what_is_committed_is_read_back(store: ObjectStore) -> None:
    put(store, KEY, b"sealed", TAGS)

    assert get(store, KEY) == b"sealed"
    assert store.size(KEY) == 6
    assert store.tags(KEY) == TAGS
    assert list(store.keys("private_inbound/")) == [KEY]


def test_ranges(store: ObjectStore) -> None:
    data = os.urandom(2 * BLOCK + 10)
    put(store, KEY, data)

    for start, stop in [(0, 0), (5, 5), (0, 1), (3, BLOCK + 4), (BLOCK, None), (len(data) - 1, None)]:
        assert get(store, KEY, start, stop) == data[start:stop]
    assert {len(block) for block in store.read(KEY, 0, 2 * BLOCK)} == {BLOCK}


def test_what_is_in_memory_is_what_was_written(store: ObjectStore) -> None:
    data = os.urandom(BLOCK + 10)
    put(store, KEY, data)

    cached = store.cached(KEY)
    if cached is not None:  # it lies on this machine: all of it, some of it or nothing may be at hand
        for at, size in [(0, BLOCK), (BLOCK, 100), (7, 1)]:
            found = cached.read(at, size)
            assert found is None or data[at : at + size].startswith(found)
        cached.close()
        cached.close()
        assert cached.read(0, 1) is None


def test_an_upload_may_reuse_its_buffer(store: ObjectStore) -> None:
    buffer = bytearray(b"first")
    upload = store.create(KEY, {})
    upload.write(memoryview(buffer))
    buffer[:] = b"later"
    upload.write(buffer)
    upload.commit()

    assert get(store, KEY) == b"firstlater"


def test_nothing_is_visible_before_the_commit(store: ObjectStore) -> None:
    upload = store.create(KEY, TAGS)
    upload.write(b"half")

    assert list(store.keys("")) == []
    with pytest.raises(ObjectNotFoundError):
        store.size(KEY)
    with pytest.raises(ObjectNotFoundError):
        get(store, KEY)
    upload.abort()
    upload.abort()
    assert store.remaining(KEY) == 0
    with pytest.raises(ValueError, match="over"):
        upload.write(b"more")


def test_an_object_is_never_overwritten(store: ObjectStore) -> None:
    first, second = store.create(KEY, TAGS), store.create(KEY, {})
    first.write(b"first")
    second.write(b"second")
    first.commit()

    with pytest.raises(ConflictError):
        second.commit()
    assert get(store, KEY) == b"first"
    assert store.tags(KEY) == TAGS
    assert store.remaining(KEY) == 1


def test_of_many_writers_one_wins(store: ObjectStore) -> None:
    """Where the store says who was first; elsewhere that keys have one writer is the callers' part, and all can go."""
    uploads = [store.create(KEY, {}) for _ in range(16)]
    refused: dict[int, RecorderError] = {}

    def commit(number: int) -> None:
        uploads[number].write(b"%02d" % number)
        try:
            uploads[number].commit()
        except RecorderError as error:
            refused[number] = error

    threads = [threading.Thread(target=commit, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    if store.truth().conditional_writes:
        assert {type(error) for error in refused.values()} == {ConflictError}
        assert set(range(16)) - set(refused) == {int(get(store, KEY))}
    store.delete(KEY)
    assert store.remaining(KEY) == 0


def test_p3_delete_removes_the_object_and_every_unfinished_upload(store: ObjectStore) -> None:
    put(store, KEY, b"one", TAGS)
    put(store, f"{KEY}.other", b"kept")
    crashed = begun(store, KEY)
    neighbour = begun(store, f"{KEY}.other2")

    assert store.remaining(KEY) == 2
    assert store.delete(KEY) == 2
    assert store.remaining(KEY) == 0
    assert store.delete(KEY) == 0
    with pytest.raises(ObjectNotFoundError):
        get(store, KEY)
    assert get(store, f"{KEY}.other") == b"kept"
    assert store.remaining(f"{KEY}.other2") == 1
    neighbour.abort()
    crashed.abort()


def test_p3_many_are_deleted_at_once_and_only_they(store: ObjectStore) -> None:
    keys = [f"private_inbound/20261202/{number:02d}" for number in range(7)]
    for key in keys:
        put(store, key, b"x", TAGS)
    crashed = begun(store, keys[0])

    assert store.delete_many([*keys[:5], "no/such"]) == dict.fromkeys(keys[:5], 1) | {keys[0]: 2, "no/such": 0}
    assert [store.remaining(key) for key in keys] == [0, 0, 0, 0, 0, 1, 1]
    assert store.delete_many(keys[:5]) == dict.fromkeys(keys[:5], 0)
    assert store.delete_many([]) == {}
    assert list(store.keys("")) == keys[5:]
    crashed.abort()


def test_p3_an_upload_whose_key_was_deleted_meanwhile_cannot_be_finished(store: ObjectStore) -> None:
    crashed = begun(store, KEY)

    assert store.remaining(KEY) == 1
    assert store.delete(KEY) == 1
    with pytest.raises(RecorderError):
        crashed.commit()
    assert store.remaining(KEY) == 0


@pytest.mark.parametrize("size", [0, PART, PART + 1, 2 * PART + 7])
def test_every_size_comes_back_whole(store: ObjectStore, size: int) -> None:
    data = os.urandom(size)
    upload = store.create(KEY, TAGS)
    for at in range(0, size, 300_000):
        upload.write(memoryview(data)[at : at + 300_000])

    assert upload.commit() == size
    assert store.size(KEY) == size
    assert get(store, KEY) == data
    assert store.tags(KEY) == TAGS


def test_a_copy_is_an_object_of_its_own(store: ObjectStore) -> None:
    data = os.urandom(PART + 1)
    put(store, KEY, data, TAGS)

    assert store.copy(KEY, "hold/a", {"hold": "1"}) == len(data)
    store.delete(KEY)
    assert get(store, "hold/a") == data
    assert store.tags("hold/a") == {"hold": "1"}
    with pytest.raises(ObjectNotFoundError):
        store.copy(KEY, "hold/b", {})
    put(store, KEY, b"other")
    with pytest.raises(ConflictError):
        store.copy(KEY, "hold/a", {})
    assert get(store, "hold/a") == data
    assert store.remaining("hold/b") == 0


def test_a_read_may_be_given_up_at_any_time(store: ObjectStore) -> None:
    put(store, KEY, os.urandom(4 * BLOCK))
    for _ in range(40):  # more than a pool of connections has
        blocks = store.read(KEY)
        next(blocks)
        blocks.close()  # type: ignore[attr-defined]

    assert len(get(store, KEY)) == 4 * BLOCK


def test_deleting_what_never_was_is_done(store: ObjectStore) -> None:
    assert store.delete("no/such") == 0
    assert store.remaining("no/such") == 0


def test_keys_that_could_climb_or_hide_are_refused(store: ObjectStore) -> None:
    for key in ("", "/etc/passwd", "../up", "a/../b", "a//b", ".hidden", "a/.hidden", "a\n", "a b", "æ"):
        for ask in (lambda key: store.create(key, {}), store.delete, store.size, lambda key: get(store, key)):
            with pytest.raises(ValueError, match="object key"):
                ask(key)


def test_keys_come_in_order_and_by_prefix(store: ObjectStore) -> None:
    for key in ("b/2", "a/1", "b/1", "bb/1", "top"):
        put(store, key, b"x")

    assert list(store.keys("")) == ["a/1", "b/1", "b/2", "bb/1", "top"]
    assert list(store.keys("b")) == ["b/1", "b/2", "bb/1"]
    assert list(store.keys("b/")) == ["b/1", "b/2"]
    assert list(store.keys("none/")) == []


# -- what only a folder can suffer


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def failing(errno_: int) -> Callable[..., int]:
    def fail(*_args: object) -> int:
        raise OSError(errno_, os.strerror(errno_))

    return fail


def finish(upload: Upload) -> None:
    upload.write(b"more")
    upload.commit()


@pytest.mark.parametrize("when", ["write", "fsync"])
def test_p6_a_full_disk_says_so_and_leaves_nothing_behind(
    folder: FolderStore, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    upload = folder.create(KEY, TAGS)
    upload.write(b"some")

    with monkeypatch.context() as patch:
        patch.setattr(os, when, failing(errno.ENOSPC))
        with pytest.raises(StoreFullError):
            finish(upload)

    assert folder.remaining(KEY) == 0
    assert [path.name for path in folder.path.rglob("*") if path.is_file()] == [".recorder-store"]


def test_p3_what_a_folder_still_shows_was_not_deleted(folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, KEY, b"stays")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(StoreRefusedError, match="does not let go of 1 objects"):
            folder.delete(KEY)
    assert folder.delete(KEY) == 1


def test_p6_a_really_full_disk_says_so(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    store = FolderStore(tmp_path / "objects")
    upload = store.create(KEY, {})
    with full.open("wb") as device:
        os.dup2(device.fileno(), upload._fd)

    with pytest.raises(StoreFullError):
        upload.write(b"x" * 4096)
    assert store.remaining(KEY) == 0


def test_a_failing_disk_is_a_store_that_is_away(folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = folder.create(KEY, {})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(errno.EIO))
        with pytest.raises(StoreUnavailableError) as caught:
            upload.write(b"x")
    assert caught.value.code == "store_unavailable"


def test_p3_a_folder_whose_volume_is_away_is_not_an_empty_store(folder: FolderStore) -> None:
    put(folder, KEY, b"x")
    shutil.rmtree(folder.path)
    folder.path.mkdir()  # the mount point without its volume

    for ask in (folder.remaining, folder.delete, folder.size, lambda key: get(folder, key)):
        with pytest.raises(StoreUnavailableError):
            ask(KEY)
    with pytest.raises(StoreUnavailableError):
        list(folder.keys(""))
    with pytest.raises(StoreUnavailableError):
        folder.create(KEY, {})


def test_files_and_folders_are_the_owners_alone(folder: FolderStore) -> None:
    put(folder, KEY, b"x")

    assert {path.stat().st_mode & 0o077 for path in (folder.path / KEY, (folder.path / KEY).parent, folder.path)} == {0}


def test_lost_tags_are_no_tags(folder: FolderStore) -> None:
    put(folder, KEY, b"x", TAGS)
    (folder.path / KEY).with_name(".0f1e2d.tags").write_bytes(b"\0")

    assert folder.tags(KEY) == {}
