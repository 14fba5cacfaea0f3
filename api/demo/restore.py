"""What a thief can do with yesterday's backup and everything that exists today: the drill of promise P3."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from recorder.ports import Service
from recorder.service import rings_for, store_for
from storage.catalogue import recordings
from storage.database import Database
from storage.keyring import KeyRing, load_root_key
from storage.vault import Vault


def read_everything(service: Service, backup: Path, now: datetime) -> int:
    """Restore the backup beside today's key ring and unwrap every data key in it; gives how many opened.

    Raises whatever the first refusal raises. A backup without any data key is an `AssertionError`: it proves nothing.
    """
    database = Database(f"sqlite:///{backup / 'recorder.sqlite'}")
    settings = service.settings
    ring, _mirror = rings_for(settings)
    root_key = load_root_key(settings.root_key_path, settings.root_key(), ring)
    vault = Vault(KeyRing(database, ring, root_key), store_for((backup / "objects").as_uri()))
    try:
        with database.read() as connection:
            stored = recordings.search(connection, recordings.Filter(state="stored")).items
        sealed = [(item.id, item.key_id, item.dek) for item in stored if item.key_id and item.dek]
        if not sealed:
            raise AssertionError("the backup holds no recording")
        for recording_id, key_id, dek in sealed:
            vault.unwrap_dek(recording_id, key_id, dek, now)
        return len(sealed)
    finally:
        database.close()
