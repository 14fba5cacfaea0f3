"""One folder as an `ObjectStore`."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from storage.errors import (
    ConflictError,
    ObjectNotFoundError,
    StoreMissingError,
    StoreRefusedError,
    StoreUnavailableError,
)
from storage.folders import make_folder, sync_folder
from storage.objects import BLOCK, checked
from storage.objects_folder.uploading import UNFINISHED, FolderUpload, sidecar, translated
from storage.probe import StoreTruth

MARKER = ".recorder-store"  # tells an empty store from a folder whose volume is not mounted
NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


class CachedFile:
    """As much of a file as the system has in memory. Where it cannot tell (`RWF_NOWAIT` of Linux), nothing of it."""

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_RDONLY)
        self._buffer = memoryview(b"")

    def read(self, at: int, size: int) -> memoryview | None:
        if self._fd is None:
            return None
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        try:
            got = os.preadv(self._fd, [self._buffer[:size]], at, NOWAIT)
        except OSError:  # not in memory, or a file system that cannot tell: left to callers that can wait
            return None
        return self._buffer[:got] or None

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


class FolderStore:
    """An `ObjectStore` in one folder. Readable by the owner only.

    A missing folder is made, except with `in_use`: then its volume is not mounted, and until it is, every method raises
    `StoreMissingError`.
    """

    def __init__(self, path: Path | str, *, in_use: bool = False) -> None:
        self.path = Path(path).absolute()
        self.name = f"folder {self.path.name}"
        self._marker = self.path / MARKER
        if not in_use:
            self._make()

    def _make(self) -> None:
        with translated():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._marker.exists():
                self._marker.touch(mode=0o600)
                sync_folder(self.path)

    def truth(self, *, anew: bool = False) -> StoreTruth:  # noqa: ARG002 -- there is nothing to ask
        return StoreTruth(self.name)

    def create(self, key: str, tags: Mapping[str, str], upload_id: str | None = None) -> FolderUpload:
        self._present()
        return FolderUpload(self._at(key), tags, upload_id or secrets.token_hex(16))

    def copy(self, source: str, target: str, tags: Mapping[str, str]) -> int:
        """A second name for the same bytes: they go with the last of their names."""
        old, new = self._at(source), self._at(target)
        with self._found():
            size = old.stat().st_size
            make_folder(new.parent)
            try:
                os.link(old, new)
            except FileExistsError as exc:
                raise ConflictError("there is already an object of this key") from exc
            if tags:
                sidecar(new).write_text(json.dumps(dict(tags)), "utf-8")
            sync_folder(new.parent)
        return size

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        with self._found(), self._at(key).open("rb", buffering=0) as file:
            file.seek(start)
            left = None if stop is None else stop - start
            while left is None or left > 0:
                block = file.read(BLOCK if left is None else min(BLOCK, left))
                if not block:
                    return
                if left is not None:
                    left -= len(block)
                yield block

    def cached(self, key: str) -> CachedFile | None:
        with self._found():
            return CachedFile(self._at(key)) if NOWAIT else None

    def size(self, key: str) -> int:
        with self._found():
            return self._at(key).stat().st_size

    def tags(self, key: str) -> dict[str, str]:
        self.size(key)
        try:
            kept: dict[str, str] = json.loads(sidecar(self._at(key)).read_bytes())
        except (OSError, ValueError):
            return {}
        return kept

    def set_backstop(self, prefixes: Sequence[str]) -> None:
        """A folder deletes nothing by itself."""

    def delete(self, key: str) -> int:
        return self.delete_many([key])[key]

    def delete_many(self, keys: Sequence[str]) -> dict[str, int]:
        paths = {key: self._at(key) for key in keys}
        self._present()
        with translated():
            files = _files_of(paths.values())
            for path in paths.values():
                with suppress(OSError):  # one that cannot be removed must not hold up the others
                    _remove(path, files[path])
            for folder in {path.parent for path in paths.values()}:  # one sync for all that went from it
                if folder.exists():
                    sync_folder(folder)
            left = sum(bool(found) for found in _files_of(paths.values()).values())
        if left:
            raise StoreRefusedError(f"the folder does not let go of {left} objects")
        return {key: len(files[path]) for key, path in paths.items()}

    def remaining(self, *keys: str) -> int:
        self._present()
        with translated():
            return sum(len(files) for files in _files_of([self._at(key) for key in keys]).values())

    def keys(self, prefix: str) -> Iterator[str]:
        self._present()
        folder = prefix.rpartition("/")[0]
        with translated():
            start = self._at(folder) if folder else self.path
            for key in sorted(path.relative_to(self.path).as_posix() for path in _objects_below(start)):
                if key.startswith(prefix):
                    yield key

    def clock(self) -> datetime | None:
        """None: a folder goes by this machine's clock."""
        return None

    def _at(self, key: str) -> Path:
        return self.path / checked(key)

    def _present(self) -> None:
        with translated():
            if not self._marker.exists():
                raise StoreMissingError

    @contextmanager
    def _found(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreUnavailableError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                self._present()
                raise ObjectNotFoundError from exc.__cause__
            raise


def _files_of(paths: Collection[Path]) -> dict[Path, list[Path]]:
    """The file and the unfinished uploads of each object, with one look at each folder."""
    found: dict[Path, list[Path]] = {path: [] for path in paths}
    for folder in {path.parent for path in paths}:
        wanted = {path.name: path for path in paths if path.parent == folder}
        if folder.exists():
            for entry in os.scandir(folder):
                unfinished = UNFINISHED.fullmatch(entry.name)
                path = wanted.get(unfinished[1] if unfinished else entry.name)
                if path is not None:
                    found[path].append(folder / entry.name)
    return found


def _remove(path: Path, files: Collection[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    sidecar(path).unlink(missing_ok=True)


def _objects_below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.rglob("[!.]*") if path.is_file())
