"""Keys as objects in the ring and its mirror: `<yyyymmdd>/<key id>.<root id>`, sealed by the root key.

Knows no rows: the key ring says which id counts and when it may go. Handles key material.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.columns import decrypt, encrypt, place
from storage.errors import (
    ConflictError,
    IntegrityError,
    KeyUnavailableError,
    ObjectNotFoundError,
    StoreUnavailableError,
)
from storage.keys import KEY_BYTES, derive
from storage.objects import ObjectStore

_OBJECT = re.compile(r"(?P<folder>[0-9]{8}|service)/(?P<id>[a-z]+_[a-z2-7]+)\.(?P<root>[0-9a-f]{16})")


@dataclass(frozen=True)
class KeyName:
    """Which key: its random id, and the folder it lies in (the UTC day as yyyymmdd, or `service`)."""

    id: str
    folder: str

    @property
    def purpose(self) -> str:
        return self.id.partition("_")[0]


class RootKey:
    """Seals the keys of the ring. Its id says which root sealed an object, and nothing about the root."""

    def __init__(self, root: bytes) -> None:
        if len(root) != KEY_BYTES:
            raise ValueError("a root key has 32 bytes")
        self.id = derive(root, "recorder/root-id/v1")[:8].hex()
        self._aead = AESGCM(derive(root, "recorder/ring/v1"))

    def seal(self, name: KeyName, material: bytes) -> bytes:
        return encrypt(self._aead, material, place("recorder/ring/v1", name.folder, name.id))

    def open(self, name: KeyName, blob: bytes) -> bytes:
        return decrypt(self._aead, blob, place("recorder/ring/v1", name.folder, name.id))


class KeyObjects:
    """Key objects in one or two stores: written to all of them, read from the first that can."""

    def __init__(self, root: RootKey, stores: Sequence[ObjectStore]) -> None:
        self.root = root
        self.stores = stores

    def create(self, name: KeyName) -> bytes:
        """Make a new key and read it back from every store. Raises where any store fails: the key is then not ready."""
        material = secrets.token_bytes(KEY_BYTES)
        self._put(name, self.root.seal(name, material))
        return material

    def note(self, name: KeyName, content: bytes) -> None:
        """Keep something that is not a key, sealed like one. Raises where any store fails; may be repeated."""
        for store in self.stores:
            _share(store, self._key(name), self.root.seal(name, content))

    def read(self, name: KeyName) -> bytes:
        """Raises `ObjectNotFoundError` where no store has it, `KeyUnavailableError` where one might."""
        fault: Exception | None = None
        for store in self.stores:
            try:
                return self.root.open(name, b"".join(store.read(self._key(name))))
            except ObjectNotFoundError:
                continue
            except (StoreUnavailableError, IntegrityError) as exc:
                fault = exc
        if fault is not None:
            raise KeyUnavailableError from fault
        raise ObjectNotFoundError

    def written(self, name: KeyName) -> bool:
        """Whether every store holds it under this root."""
        return all(_has(store, self._key(name)) for store in self.stores)

    def require(self, pin: KeyName) -> None:
        """Raise unless the key that pins this root is there. Called after writing: a change of root removes it."""
        if not self.written(pin):
            raise KeyUnavailableError("the root key was changed; start again with the new one")

    def remove(self, name: KeyName) -> None:
        """Remove the key from every store, under whatever root; raises unless it is gone from all."""
        for store in self.stores:
            for key in {self._key(name), *store.keys(f"{name.folder}/{name.id}.")}:
                store.delete(key)

    def names(self) -> Iterator[KeyName]:
        """Every key lying in any store, under whatever root."""
        yield from {name for store in self.stores for _key, name, _root_id in _listed(store)}

    def mend(self, names: Sequence[KeyName]) -> None:
        """Copy those of `names` that one store lacks from another that holds them."""
        lying = [(store, {key for key, _name, _root_id in _listed(store)}) for store in self.stores]
        for name in names:
            key = self._key(name)
            missing = [store for store, keys in lying if key not in keys]
            for store in missing if len(missing) < len(self.stores) else ():
                _share(store, key, self.root.seal(name, self.read(name)))

    def reseal(self, new: KeyObjects) -> None:
        """Write everything sealed by this root under the new one too. May be called again after a failure."""
        for store in self.stores:
            for _key, name, root_id in _listed(store):
                if root_id == self.root.id and not new.written(name):
                    new._put(name, new.root.seal(name, self.read(name)))

    def forget(self, name: KeyName) -> None:
        """Remove one key as sealed by this root; another root's object of it stays."""
        for store in self.stores:
            store.delete(self._key(name))

    def keep_only_own(self) -> None:
        """Remove other roots' objects of the keys that this root opens."""
        for store in self.stores:
            for key, name, root_id in _listed(store):
                if root_id != self.root.id and self.written(name):
                    store.delete(key)

    def _key(self, name: KeyName) -> str:
        return f"{name.folder}/{name.id}.{self.root.id}"

    def _put(self, name: KeyName, blob: bytes) -> None:
        key = self._key(name)
        for store in self.stores:
            if not _has(store, key):
                _write(store, key, blob)


def _write(store: ObjectStore, key: str, blob: bytes) -> None:
    upload = store.create(key, {})
    upload.write(blob)
    upload.commit()
    if b"".join(store.read(key)) != blob:
        raise StoreUnavailableError("the key ring did not keep what it was given")


def _share(store: ObjectStore, key: str, blob: bytes) -> None:
    """Write what others may be writing at this moment too, sealed by themselves: the first to arrive stays."""
    if not _has(store, key):
        with suppress(ConflictError):
            _write(store, key, blob)


def _has(store: ObjectStore, key: str) -> bool:
    with suppress(ObjectNotFoundError):
        return store.size(key) > 0
    return False


def _listed(store: ObjectStore) -> list[tuple[str, KeyName, str]]:
    """Key objects with their names and root ids; whatever else lies there is not ours to touch."""
    found = [(key, _OBJECT.fullmatch(key)) for key in store.keys("")]
    named = [(key, KeyName(match["id"], match["folder"]), match["root"]) for key, match in found if match]
    return [one for one in named if _has_its_folder(one[1])]


def _has_its_folder(name: KeyName) -> bool:
    """Whether it is a day's, or a service key: those alone have no day."""
    if name.folder == "service":
        return name.purpose == "service"
    try:
        date.fromisoformat(name.folder)
    except ValueError:
        return False
    return True
