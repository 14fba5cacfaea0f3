"""A proxy between us and PostgreSQL that cuts the line at a commit: before the server is told, or once it is done."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import make_url

Fate = Literal["pass", "lose the request", "lose the answer"]
COMMITS = (
    b"Q\x00\x00\x00\x0bCOMMIT\x00",
    b"INSERT INTO inbox",
)  # the acceptance of webhooks commits with each statement
READY = b"Z\x00\x00\x00\x05"  # ends every answer, and one byte of state comes after it
BLOCK = 1 << 16


class Line:
    """One connection. What the server says passes unless it is the answer to be lost."""

    def __init__(self, near: socket.socket, far: socket.socket, decide: Callable[[], Fate]) -> None:
        self._near, self._far, self._decide = near, far, decide
        self._unheard = threading.Event()
        for pump in (self._asked, self._answered):
            threading.Thread(target=self._cut_after, args=(pump,), daemon=True).start()

    def _cut_after(self, pump: Callable[[], None]) -> None:
        with suppress(OSError):
            pump()
        for end in (self._near, self._far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _asked(self) -> None:
        while data := self._near.recv(BLOCK):
            fate = self._decide() if any(one in data for one in COMMITS) else "pass"
            if fate == "lose the request":
                return
            if fate == "lose the answer":
                self._unheard.set()
            self._far.sendall(data)

    def _answered(self) -> None:
        while data := self._far.recv(BLOCK):
            if not self._unheard.is_set():
                self._near.sendall(data)
            elif READY in data:
                return


@contextmanager
def severed(url: str, decide: Callable[[], Fate]) -> Iterator[str]:
    """Another URL of the same database; `decide` says what becomes of each commit asked for through it."""
    far = make_url(url)
    path = next(Path(str(far.query["host"])).glob(".s.PGSQL.*[0-9]"))

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                line = socket.socket(socket.AF_UNIX)
                line.connect(str(path))
                Line(near, line, decide)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        near = far.set(host="127.0.0.1", port=listening.getsockname()[1]).difference_update_query(["host"])
        yield near.render_as_string(hide_password=False)
        listening.shutdown(socket.SHUT_RDWR)
