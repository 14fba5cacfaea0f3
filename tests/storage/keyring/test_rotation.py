"""A new root key opens every key, retires the old one, and a rotation that died can be repeated."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from storage.database import Database
from storage.errors import ConfigurationError, KeyUnavailableError
from storage.keyobjects import KeyObjects
from storage.keyring import KeyRing, load_root_key
from storage.objects_folder import FolderStore
from storage.rootkey import save_root_key
from tests.storage.keyring.rings import ALL, EXPIRY, NOTE, NOW, ROOT, another, raising

NEW_ROOT = bytes([7]) * 32


def test_rotating_the_root_keeps_every_key_and_retires_the_old_root(
    database: Database, ring: FolderStore, keyring: KeyRing, tmp_path: Path
) -> None:
    day, refs = keyring.day_key(EXPIRY, NOW), keyring.service_key("refs")
    path = tmp_path / "root.key"

    keyring.rotate_root(NEW_ROOT, lambda: save_root_key(path, NEW_ROOT))

    assert load_root_key(path, None, ring) == NEW_ROOT
    fresh = another(database, ring, root=NEW_ROOT)
    assert fresh.day_key(EXPIRY, NOW).material == day.material
    assert fresh.service_key("refs") == keyring.service_key("refs") == refs
    assert fresh.ensure(NOW + timedelta(days=1)) == 2
    with pytest.raises(ConfigurationError, match="root key"):
        another(database, ring)
    assert len(list(ring.keys(""))) == ALL + 3


@pytest.mark.parametrize("root", [ROOT, NEW_ROOT])
def test_a_rotation_that_died_leaves_both_roots_opening_and_can_be_repeated(
    database: Database, ring: FolderStore, keyring: KeyRing, root: bytes
) -> None:
    day = keyring.day_key(EXPIRY, NOW)
    with pytest.raises(InterruptedError):
        keyring.rotate_root(NEW_ROOT, raising(InterruptedError()))

    survivor = another(database, ring, root=root)
    assert survivor.day_key(EXPIRY, NOW).material == day.material
    survivor.rotate_root(bytes([9]) * 32, lambda: None)
    assert another(database, ring, root=bytes([9]) * 32).day_key(EXPIRY, NOW).material == day.material
    assert len(list(ring.keys(""))) == ALL + 1


def test_a_process_with_the_old_root_makes_no_more_keys(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    running = another(database, ring)
    keyring.rotate_root(NEW_ROOT, lambda: None)

    with pytest.raises(KeyUnavailableError):
        running.ensure(NOW + timedelta(days=1))
    assert keyring.ensure(NOW + timedelta(days=1)) == 2
    with pytest.raises(KeyUnavailableError):  # or a restored backup, which the note is for, does not start
        running.note(NOTE, b"erased")


def test_what_others_make_while_the_root_is_rotated_is_kept_or_never_made(
    database: Database, ring: FolderStore, keyring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, last, day = another(database, ring), KeyObjects.keep_only_own, EXPIRY + timedelta(days=8)
    made: list[bytes] = []

    def in_time() -> None:
        running.ensure(NOW + timedelta(days=1))
        made.append(running.day_key(day, NOW).material)

    def too_late(objects: KeyObjects) -> None:
        with pytest.raises(KeyUnavailableError):
            running.ensure(NOW + timedelta(days=2))
        last(objects)

    monkeypatch.setattr(KeyObjects, "keep_only_own", too_late)
    keyring.rotate_root(NEW_ROOT, in_time)

    assert [another(database, ring, root=NEW_ROOT).day_key(day, NOW).material] == made
