"""What only the folder store does: its contract is tests/contract/test_objects.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.objects_folder import FolderStore
from storage.objects_folder.uploading import WRITE_BACK


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice")
def test_the_disk_is_told_to_begin_long_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _fd, start, size, _advice: told.append((start, size)))
    piece = os.urandom(WRITE_BACK // 2 + 1)
    store = FolderStore(tmp_path)
    upload = store.create("a/b", {})
    for _ in range(5):
        upload.write(piece)
    assert told == [(0, 2 * len(piece)), (2 * len(piece), 2 * len(piece))]
    upload.commit()
    assert b"".join(store.read("a/b")) == 5 * piece
