"""One object on its way into a folder: the names of its files, and what makes them outlast a power cut."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import ConflictError, StoreFullError, StoreUnavailableError
from storage.folders import make_folder, sync_folder

TAGS = ".tags"
PART = ".part"
UNFINISHED = re.compile(rf"\.(.+)\.[0-9a-f]{{32}}{re.escape(PART)}")
WRITE_BACK = 4 << 20  # bytes


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the file system as ours: full, or away."""
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFullError from exc
        raise StoreUnavailableError from exc


class FolderUpload:
    """A hidden file that becomes the object in one step."""

    def __init__(self, path: Path, tags: Mapping[str, str], upload_id: str) -> None:
        self.id = upload_id
        self._path = path
        self._part = _part(path, self.id)
        self._tags = dict(tags)
        self._sidecar: Path | None = None  # once it is ours to remove
        self._fd: int | None = None
        self._written = self._under_way = 0  # bytes; how many of them the disk has been told to take
        with self._undone_on_failure():
            self._fd = _open_new(self._part)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._fd is None:
            raise ValueError("the upload is over")
        with self._undone_on_failure():
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._written += len(data)
            if self._written - self._under_way >= WRITE_BACK:
                self._write_back(self._fd)

    def commit(self) -> int:
        if self._fd is None:
            raise ValueError("the upload is over")
        with self._undone_on_failure():
            os.fsync(self._fd)
            size = os.fstat(self._fd).st_size
            self._close()
            self._keep_tags()
            # A link, because a rename would silently replace an object that is already there.
            os.link(self._part, self._path)
            self._sidecar = None
            self._part.unlink()
            sync_folder(self._path.parent)
        return size

    def abort(self) -> None:
        self._close()
        with translated():
            self._part.unlink(missing_ok=True)
            if self._sidecar is not None:
                self._sidecar.unlink(missing_ok=True)

    def _keep_tags(self) -> None:
        if self._tags:
            with sidecar(self._path).open("x", encoding="utf-8") as file:
                self._sidecar = sidecar(self._path)
                json.dump(self._tags, file)

    def _write_back(self, fd: int) -> None:
        """Make the disk begin, or the final flush waits for everything: Linux takes this advice as that order."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, self._under_way, self._written - self._under_way, os.POSIX_FADV_DONTNEED)
        self._under_way = self._written

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreUnavailableError as exc:
            with suppress(StoreUnavailableError, OSError):
                self.abort()
            if isinstance(exc.__cause__, FileExistsError):
                raise ConflictError("there is already an object of this key") from exc.__cause__
            raise


def _part(path: Path, upload_id: str) -> Path:
    return path.with_name(f".{path.name}.{upload_id}{PART}")


def sidecar(path: Path) -> Path:
    """Where the tags of an object are."""
    return path.with_name(f".{path.name}{TAGS}")


def _open_new(path: Path) -> int:
    make_folder(path.parent)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
