"""An object put into a store, whichever it is, and read again."""

from __future__ import annotations

from storage.objects import ObjectStore

KEY = "private_inbound/20261202/0f1e2d"
TAGS = {"segment": "private_inbound", "expires": "2026-12-02"}


def put(store: ObjectStore, key: str, data: bytes = b"x", tags: dict[str, str] | None = None) -> None:
    upload = store.create(key, tags or {})
    upload.write(data)
    upload.commit()


def get(store: ObjectStore, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(store.read(key, start, stop))
