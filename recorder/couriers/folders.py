"""Mail and SMS as files. Only for trying out: settings allow it on a loopback address alone."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from recorder.errors import DeliveryError


class FolderMailer:
    """Every mail a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, message: bytes) -> None:  # noqa: ARG002 -- the address is in the message
        _put(self._folder, ".eml", message)


class FolderTexter:
    """Every SMS a file of `{"to", "text"}`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, text: str) -> None:
        _put(self._folder, ".json", json.dumps({"to": to, "text": text}, ensure_ascii=False).encode())


def _put(folder: Path, suffix: str, content: bytes) -> None:
    """Write a file so that whoever looks sees all of it or nothing."""
    name = secrets.token_hex(12)
    waiting = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        waiting.rename(folder / (name + suffix))
    except OSError as exc:
        with suppress(OSError):
            waiting.unlink()
        raise DeliveryError(f"the outbox folder did not take it: {type(exc).__name__}") from exc
