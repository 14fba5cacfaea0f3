"""The mirror holds what the ring holds, mends a lost ring, and may be added later."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from storage.database import Database
from storage.errors import StoreUnavailableError
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
from storage.objects_folder.uploading import FolderUpload
from tests.storage.keyring.rings import ALL, EXPIRY, NOTE, NOW, another, objects, rows, states


def test_keys_are_written_to_both_rings_and_destroyed_in_both(
    database: Database, ring: FolderStore, mirror: FolderStore
) -> None:
    keyring = another(database, ring, mirror)
    keyring.ensure(NOW)
    assert objects(ring) == objects(mirror) == rows(database)

    key = keyring.day_key(NOW.date(), NOW)
    keyring.destroy(key.id, NOW)
    assert f"20260903/{key.id}" not in objects(ring) | objects(mirror)


def test_a_lost_ring_is_read_from_the_mirror_and_mended(
    database: Database, ring: FolderStore, mirror: FolderStore, tmp_path: Path
) -> None:
    keyring = another(database, ring, mirror)
    keyring.ensure(NOW)
    key = keyring.day_key(EXPIRY, NOW)

    empty = FolderStore(tmp_path / "new-ring")
    mended = another(database, empty, mirror)
    assert mended.day_key(EXPIRY, NOW).material == key.material
    assert objects(empty) == objects(mirror)


def test_a_mirror_added_later_gets_what_the_ring_has(
    database: Database, ring: FolderStore, mirror: FolderStore, keyring: KeyRing
) -> None:
    another(database, ring, mirror)

    assert objects(mirror) == objects(ring)


def test_p3_a_mirror_added_later_knows_what_was_erased(
    database: Database, ring: FolderStore, mirror: FolderStore, keyring: KeyRing
) -> None:
    keyring.note(NOTE, b"erased")
    another(database, ring, mirror)

    assert another(database, mirror).read_note(NOTE) == b"erased"


@pytest.mark.parametrize("act", ["start", "note"])
def test_p6_of_two_processes_that_write_the_same_at_once_none_fails(
    database: Database,
    ring: FolderStore,
    mirror: FolderStore,
    keyring: KeyRing,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
) -> None:
    acts = {"start": lambda: another(database, ring, mirror), "note": lambda: keyring.note(NOTE, b"erased")}
    commit, overtaken = FolderUpload.commit, threading.Event()

    def overtake(upload: FolderUpload) -> int:
        if not overtaken.is_set():
            overtaken.set()
            acts[act]()
        return commit(upload)

    monkeypatch.setattr(FolderUpload, "commit", overtake)
    acts[act]()

    assert overtaken.is_set()
    another(database, ring, mirror)
    assert objects(mirror) == objects(ring)


def test_a_key_is_not_ready_while_the_mirror_is_away(
    database: Database, ring: FolderStore, mirror: FolderStore, tmp_path: Path
) -> None:
    keyring = another(database, ring, mirror)
    mirror.path.rename(tmp_path / "away")

    with pytest.raises(StoreUnavailableError):
        keyring.ensure(NOW)
    assert "ready" not in states(database) or states(database)["ready"] == 1

    (tmp_path / "away").rename(mirror.path)
    assert keyring.ensure(NOW) == ALL
    assert rows(database) <= objects(mirror)
