"""The far side of a platform: a server on loopback that answers every method as told and writes down what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import pytest

from tests.servers.loopback import answering


@dataclass
class FarSide:
    url: str
    seen: list[tuple[str, str, str | None]]  # method, path, Authorization

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.seen]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status: int
    bodies: list[bytes]  # given one after the other; the last is repeated
    seen: list[tuple[str, str, str | None]]

    def log_message(self, *_: object) -> None: ...

    def _answer(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        body = (self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]) if self.command == "GET" else b""
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_DELETE = _answer  # noqa: N815 -- the names http.server calls


@contextmanager
def _serving(status: int, bodies: tuple[bytes, ...]) -> Iterator[FarSide]:
    handler = type("Handler", (_Handler,), {"status": status, "bodies": [*bodies] or [b""], "seen": []})
    with answering(handler) as url:
        yield FarSide(url, handler.seen)


@pytest.fixture
def far_side() -> Iterator[Callable[..., FarSide]]:
    with ExitStack() as stack:
        yield lambda status, *bodies: stack.enter_context(_serving(status, bodies))
