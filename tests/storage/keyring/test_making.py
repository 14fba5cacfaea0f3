"""Keys are made once, ahead of time, the same for every process, and lie in the ring under their own name and never in
clear.
"""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from storage.database import Database
from storage.errors import KeyUnavailableError
from storage.keyring import DAYS_AHEAD, KeyRing
from storage.objects_folder import FolderStore
from tests.storage.keyring.rings import ALL, EXPIRY, NOW, ROOT, another, objects, rows, states


def test_all_keys_of_the_coming_days_are_made_once(database: Database, ring: FolderStore) -> None:
    keyring = KeyRing(database, ring, ROOT)
    keyring.open(NOW)

    assert keyring.ensure(NOW) == ALL
    assert keyring.ensure(NOW) == 0
    assert states(database) == {"ready": ALL + 1}
    assert objects(ring) == rows(database)


def test_a_day_later_one_of_each_is_missing(keyring: KeyRing) -> None:
    assert keyring.ensure(NOW + timedelta(days=1)) == 2


def test_a_key_is_the_same_for_every_process(database: Database, ring: FolderStore, keyring: KeyRing) -> None:
    key, other = keyring.day_key(EXPIRY, NOW), another(database, ring).day_key(EXPIRY, NOW)

    assert (key.id, key.material, key.day) == (other.id, other.material, EXPIRY)
    assert keyring.key(key.id, NOW).material == key.material


def test_keys_differ(keyring: KeyRing) -> None:
    materials = [key.material for key in keyring.search_keys(NOW)] + [keyring.inbox_key(NOW).material]

    assert len(materials) == len(set(materials)) == DAYS_AHEAD + 2


def test_p2_a_key_object_holds_no_key_in_clear(ring: FolderStore, keyring: KeyRing) -> None:
    key = keyring.day_key(EXPIRY, NOW)

    for name in ring.keys(""):
        assert key.material not in b"".join(ring.read(name))


def test_p2_a_key_object_under_another_name_does_not_open(ring: FolderStore, keyring: KeyRing) -> None:
    wanted, other = keyring.search_keys(NOW)[:2]
    keyring._cache.drop(wanted.id)
    paths = {key.id: next(ring.path.glob(f"*/{key.id}.*")) for key in (wanted, other)}
    paths[wanted.id].write_bytes(paths[other.id].read_bytes())

    with pytest.raises(KeyUnavailableError):
        keyring.key(wanted.id, NOW)


def test_p6_accepting_never_asks_the_ring(ring: FolderStore, keyring: KeyRing) -> None:
    shutil.rmtree(ring.path)

    for days in range(8):
        assert keyring.inbox_key(NOW + timedelta(days=days)).day == (NOW + timedelta(days=days)).date()


def test_the_inbox_key_is_made_where_nobody_did(database: Database, keyring: KeyRing) -> None:
    later = NOW + timedelta(days=91)

    assert keyring.inbox_key(later).day == later.date()
    assert keyring.day_key(later.date() + timedelta(days=90), later).day == later.date() + timedelta(days=90)


def test_service_keys_differ_by_use(keyring: KeyRing) -> None:
    assert len({keyring.service_key(label) for label in ("refs", "dedupe", "sessions")}) == 3
