"""Where the root key comes from: configured, or a file made for an empty ring and never again. Handles key material."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from storage.errors import ConfigurationError
from storage.folders import sync_folder
from storage.keys import KEY_BYTES
from storage.objects import ObjectStore


def load_root_key(path: Path, configured: bytes | None, ring: ObjectStore) -> bytes:
    """The configured root key, or the one in the file; a new file is made only while the ring is empty.

    Raises `ConfigurationError` where keys lie in the ring and the root key is gone: making another would hide the
    loss of every recording behind a clean start.
    """
    if configured is not None:
        return configured
    if not path.exists():
        if any(True for _ in ring.keys("")):
            raise ConfigurationError(f"the key ring is in use, but its root key {path.name} is missing")
        _generate(path)
    try:
        root = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (binascii.Error, OSError) as exc:
        raise ConfigurationError(f"the root key {path.name} cannot be read") from exc
    if len(root) != KEY_BYTES:
        raise ConfigurationError(f"the root key {path.name} is not {KEY_BYTES} bytes in base64")
    return root


def save_root_key(path: Path, root: bytes) -> None:
    """Replace the file in one durable step: `keys rotate` must not lose both keys to a power cut."""
    part = _written(path, root)
    part.replace(path)
    sync_folder(path.parent)


def _generate(path: Path) -> None:
    """Make the file. Whoever links first wins; the others read that one."""
    part = _written(path, secrets.token_bytes(KEY_BYTES))
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
    sync_folder(path.parent)


def _written(path: Path, root: bytes) -> Path:
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(base64.b64encode(root) + b"\n")
        file.flush()
        os.fsync(fd)
    return part
