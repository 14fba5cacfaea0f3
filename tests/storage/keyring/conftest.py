"""A key ring in a folder, with the keys of its first day, and a folder for its mirror."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.database import Database
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
from tests.storage.keyring.rings import NOW, ROOT


@pytest.fixture
def ring(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "keys")


@pytest.fixture
def keyring(database: Database, ring: FolderStore) -> KeyRing:
    keyring = KeyRing(database, ring, ROOT)
    keyring.open(NOW)
    keyring.ensure(NOW)
    return keyring


@pytest.fixture
def mirror(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "mirror")
