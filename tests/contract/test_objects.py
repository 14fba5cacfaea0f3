"""What every object store must do, checked on each there is."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import ConflictError, ObjectNotFoundError, StoreFullError, StoreUnavailableError
from storage.objects import BLOCK, ObjectStore, Upload
from storage.objects_folder import FolderStore

KEY = "private_inbound/20261202/0f1e2d"
TAGS = {"segment": "private_inbound", "expires": "2026-12-02"}


@pytest.fixture(params=["folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return {"folder": lambda: FolderStore(tmp_path / "objects")}[request.param]()


def put(store: ObjectStore, key: str, data: bytes, tags: dict[str, str] | None = None) -> None:
    upload = store.create(key, tags or {})
    upload.write(data)
    upload.commit()


def get(store: ObjectStore, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(store.read(key, start, stop))


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
    assert store.remaining(KEY) == 1
    upload.abort()
    upload.abort()
    assert store.remaining(KEY) == 0


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
    uploads = [store.create(KEY, {}) for _ in range(16)]
    lost: list[int] = []

    def commit(number: int) -> None:
        uploads[number].write(b"%02d" % number)
        try:
            uploads[number].commit()
        except ConflictError:
            lost.append(number)

    threads = [threading.Thread(target=commit, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lost) == 15
    assert int(get(store, KEY)) not in lost


def test_p3_delete_removes_the_object_and_every_unfinished_upload(store: ObjectStore) -> None:
    put(store, KEY, b"one", TAGS)
    put(store, f"{KEY}.other", b"kept")
    crashed = store.create(KEY, {})
    crashed.write(b"two")
    neighbour = store.create(f"{KEY}.other2", {})

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
    crashed = store.create(keys[0], {})
    crashed.write(b"half")

    assert store.delete_many([*keys[:5], "no/such"]) == dict.fromkeys(keys[:5], 1) | {keys[0]: 2, "no/such": 0}
    assert [store.remaining(key) for key in keys] == [0, 0, 0, 0, 0, 1, 1]
    assert store.delete_many(keys[:5]) == dict.fromkeys(keys[:5], 0)
    assert store.delete_many([]) == {}
    assert list(store.keys("")) == keys[5:]
    crashed.abort()


def test_an_upload_of_a_dead_process_is_dropped_by_its_id(store: ObjectStore) -> None:
    crashed = store.create(KEY, {})
    crashed.write(b"half")

    store.abort_upload(KEY, crashed.id)
    store.abort_upload(KEY, crashed.id)

    assert store.remaining(KEY) == 0
    crashed.abort()


def test_deleting_what_never_was_is_done(store: ObjectStore) -> None:
    assert store.delete("no/such") == 0
    assert store.remaining("no/such") == 0


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../b", "a//b", ".hidden", "a/.hidden", "a\n", "a b", "æ"]
)
def test_keys_that_could_climb_or_hide_are_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="object key"):
        store.create(key, {})
    with pytest.raises(ValueError, match="object key"):
        store.delete(key)


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
