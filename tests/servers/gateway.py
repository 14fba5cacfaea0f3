"""An HTTP server that stands for an SMS gateway or for Twilio's REST API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl

import pytest

from tests.servers.loopback import answering


@dataclass
class Gateway:
    """An HTTP server that notes what it is sent and answers as it is told; 0 hangs up without an answer."""

    url: str = ""
    taken: list[tuple[str, str, str | None, bytes]] = field(default_factory=list)  # method, path, login, body
    answers: list[tuple[int, bytes]] = field(default_factory=list)

    def form(self, at: int = -1) -> dict[str, str]:
        return dict(parse_qsl(self.taken[at][3].decode()))


@contextmanager
def listening() -> Iterator[Gateway]:
    known = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known.taken.append((self.command, self.path, self.headers["Authorization"], body))
            status, answer = known.answers.pop(0) if known.answers else (200, b"{}")
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_HEAD = do_POST  # noqa: N815 -- the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            return

    with answering(Handler) as known.url:
        yield known


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with listening() as known:
        yield known
