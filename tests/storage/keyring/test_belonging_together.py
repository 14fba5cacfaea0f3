"""Root key, ring and database belong together: with one of another's, nothing starts and nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.database import Database
from storage.errors import ConfigurationError, KeyRingMissingError, KeyUnavailableError
from storage.keymaking import keys
from storage.keyring import KeyRing, load_root_key
from storage.objects_folder import FolderStore
from tests.storage.keyring.rings import NOW, ROOT, another


def test_another_root_key_does_not_start(database: Database, ring: FolderStore, keyring: KeyRing) -> None:
    with pytest.raises(ConfigurationError, match="root key"):
        another(database, ring, root=bytes(32))


def test_an_empty_ring_does_not_start_with_a_database_that_names_keys(
    database: Database, tmp_path: Path, keyring: KeyRing
) -> None:
    with pytest.raises(KeyRingMissingError):
        another(database, FolderStore(tmp_path / "unmounted"))


def test_a_ring_in_use_does_not_start_with_an_empty_database(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    with database.write() as connection:
        connection.execute(keys.delete())

    with pytest.raises(ConfigurationError, match="another database"):
        another(database, ring)


def test_a_database_that_lost_the_pin_of_its_root_key_does_not_start(
    database: Database, tmp_path: Path, keyring: KeyRing
) -> None:
    with database.write() as connection:
        connection.execute(keys.delete().where(keys.c.purpose == "service"))

    with pytest.raises(ConfigurationError, match="pins the root key"):
        another(database, FolderStore(tmp_path / "unmounted"))


def test_nothing_is_made_before_the_ring_is_open(database: Database, ring: FolderStore) -> None:
    keyring = KeyRing(database, ring, ROOT)

    with pytest.raises(KeyUnavailableError):
        keyring.ensure(NOW)
    with pytest.raises(KeyUnavailableError):
        keyring.service_key("refs")


def test_a_root_key_is_generated_for_an_empty_ring_only(tmp_path: Path, database: Database, ring: FolderStore) -> None:
    path = tmp_path / "root.key"
    root = load_root_key(path, None, ring)

    assert load_root_key(path, None, ring) == root
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_root_key(path, ROOT, ring) == ROOT
    another(database, ring, root=root)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"root\.key is missing"):
        load_root_key(path, None, ring)


@pytest.mark.parametrize("content", [b"", b"not base64!", b"AAAA\n"])
def test_a_broken_root_key_file_does_not_start(tmp_path: Path, ring: FolderStore, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError):
        load_root_key(path, None, ring)
