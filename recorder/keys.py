"""Changing the root key that seals the ring. Handles key material."""

from __future__ import annotations

import secrets
from datetime import datetime

from recorder.actors import Actor
from recorder.errors import ConfigurationError
from recorder.ports import Service
from storage import audit
from storage.keys import KEY_BYTES
from storage.rootkey import save_root_key


def rotate(service: Service, actor: Actor, now: datetime) -> None:
    """Seal every key of the ring under a new root key, kept in the file where the old one was. No audio is touched.

    May be repeated after a failure. Processes that run beside this one must be restarted: until then they cannot make
    or read keys. Raises `ConfigurationError` where the root key is configured: then its keeper must make the new one.
    """
    if service.settings.root_key() is not None:
        raise ConfigurationError(
            "the root key comes from RECORDER_KEYS__ROOT_KEY: docs/operating.md says how it is rotated"
        )
    root = secrets.token_bytes(KEY_BYTES)
    service.keyring.rotate_root(root, lambda: save_root_key(service.settings.root_key_path, root))
    with service.database.write() as connection:
        audit.append(connection, type="keys.rotated", actor=actor.id, subject="ring", body={}, now=now)
