"""P6: whoever dies while making keys, or races others for them, the keys are made once and are the same for all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from storage import keymaking
from storage.clock import new_id
from storage.database import Database
from storage.errors import StoreUnavailableError
from storage.keymaking import keys
from storage.keyobjects import KeyName, KeyObjects, RootKey
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
from storage.objects_folder.uploading import FolderUpload
from tests.storage.keyring.rings import ALL, EXPIRY, NOW, ROOT, another, objects, raising, rows, states


@pytest.mark.parametrize("point", ["claimed", "half", "written"])
def test_p6_a_crash_between_claim_and_ready_costs_nothing(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class CrashError(BaseException):
        pass

    def crash(*_args: object) -> None:
        raise CrashError

    keyring = another(database, ring)
    commit = FolderUpload.commit
    broken: dict[str, tuple[type, str, Callable[..., object]]] = {
        "claimed": (FolderStore, "create", crash),
        "half": (FolderUpload, "commit", crash),
        "written": (FolderUpload, "commit", lambda upload: (commit(upload), crash())),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*broken[point])
        with pytest.raises(CrashError):
            keyring.ensure(NOW)
    assert states(database)["claimed"] == ALL

    again = another(database, ring)
    assert again.ensure(NOW) == ALL
    assert states(database) == {"ready": ALL + 1}
    assert again.day_key(EXPIRY, NOW).material == another(database, ring).day_key(EXPIRY, NOW).material


def test_p6_a_crash_while_pinning_the_root_costs_nothing(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", raising(OSError(5, "Input/output error")))
        with pytest.raises(StoreUnavailableError):
            another(database, ring)

    assert another(database, ring).ensure(NOW) == ALL


def test_p6_a_crash_after_the_pin_was_written_costs_nothing(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(keymaking, "_finish", raising(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            another(database, ring)
    assert list(ring.keys(""))

    assert another(database, ring).ensure(NOW) == ALL


def test_p6_a_key_that_its_maker_removes_while_another_looks_is_made_again(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker was slow, its claim was taken over, and it tidies up."""
    objects, wanted = KeyObjects(RootKey(ROOT), [ring]), [("day", "20261201")]
    (maker,) = keymaking._claim(database, wanted, NOW)
    objects.create(KeyName(maker, "20261201"))
    written = objects.written

    def seen(name: KeyName) -> bool:
        there = written(name)
        if there and name.id == maker:
            objects.remove(name)
        return there

    monkeypatch.setattr(objects, "written", seen)

    assert keymaking.make(database, objects, wanted, NOW) == 1
    with database.read() as connection:
        (name,) = keymaking.rows_in(connection, "ready")
    assert objects.read(name)


def test_p6_a_key_that_another_removes_while_its_maker_looks_is_made_again(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim was taken over while it wrote, and somebody who found the object saw that no row names it."""
    objects, wanted = KeyObjects(RootKey(ROOT), [ring]), [("day", "20261201")]
    read = ring.read

    def too_late(key: str) -> Iterator[bytes]:
        monkeypatch.setattr(ring, "read", read)
        name = KeyName(key.partition("/")[2].partition(".")[0], "20261201")
        with database.write() as connection:
            connection.execute(update(keys).where(keys.c.id == name.id).values(id=new_id("day")))
        objects.remove(name)
        return read(key)

    monkeypatch.setattr(ring, "read", too_late)

    assert keymaking.make(database, objects, wanted, NOW) == 1
    with database.read() as connection:
        (name,) = keymaking.rows_in(connection, "ready")
    assert objects.read(name)
    assert list(objects.names()) == [name]


def test_many_threads_make_one_key_for_each_day(database: Database, ring: FolderStore) -> None:
    rings = [KeyRing(database, ring, ROOT) for _ in range(6)]  # six processes would each have one
    start = threading.Barrier(len(rings))
    made: list[int] = []
    failed: list[BaseException] = []

    def run(keyring: KeyRing) -> None:
        try:
            start.wait(10)
            keyring.open(NOW)
            made.append(keyring.ensure(NOW))
        except BaseException as exc:  # noqa: BLE001 -- shown by the assertion below
            failed.append(exc)

    threads = [threading.Thread(target=run, args=[keyring]) for keyring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    assert sum(made) == ALL
    assert states(database) == {"ready": ALL + 1}
    assert rows(database) <= objects(ring)
    for day in (NOW.date(), EXPIRY):
        assert len({keyring.day_key(day, NOW).material for keyring in rings}) == 1
    assert len({keyring.inbox_key(NOW).material for keyring in rings}) == 1
    assert len({keyring.service_key("refs") for keyring in rings}) == 1


PROCESS = """
import sys
from datetime import UTC, datetime
from storage.database import Database
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
url, path = sys.argv[1:]
database = Database(url)
keyring = KeyRing(database, FolderStore(path), bytes(range(32)))
now = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
keyring.open(now)
keyring.ensure(now)
print(keyring.day_key(now.date(), now).material.hex(), keyring.inbox_key(now).material.hex())
database.close()
"""


def test_many_processes_make_one_key_for_each_day(database: Database, ring: FolderStore) -> None:
    command = [sys.executable, "-c", PROCESS, database.url, str(ring.path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) for _ in range(4)]
    said = {process.communicate(timeout=60)[0] for process in started}

    assert [process.returncode for process in started] == [0] * 4
    assert len(said) == 1
    assert states(database) == {"ready": ALL + 1}
