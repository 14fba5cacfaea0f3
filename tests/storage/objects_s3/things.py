"""An object put into a store and read again."""

from __future__ import annotations

from storage.objects_s3 import S3Store

KEY = "private_inbound/20261202/0f1e2d"
TAGS = {"segment": "private_inbound", "expires": "2026-12-02"}


def put(store: S3Store, key: str, data: bytes = b"x", tags: dict[str, str] | None = None) -> None:
    upload = store.create(key, tags or {})
    upload.write(data)
    upload.commit()


def get(store: S3Store, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(store.read(key, start, stop))
