"""A proxy between us and an HTTP server that loses requests, answers, and the ends of bodies when told to."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Literal
from urllib.parse import urlsplit

from tests.servers.loopback import answering

Fate = Literal["pass", "lose the request", "lose the answer"] | int  # a number: so many bytes of the body come back


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with its query
    body: bytes = field(repr=False)


@dataclass
class Middleman:
    """`decide` says what becomes of each request; `requests` are those that came in."""

    endpoint: str
    decide: Callable[[Request], Fate] = lambda _request: "pass"
    requests: list[Request] = field(default_factory=list)

    def count(self, method: str, containing: str = "") -> int:
        return sum(one.method == method and containing in one.path for one in self.requests)

    def once(self, fate: Fate, method: str, containing: str = "") -> None:
        """Let this befall the next such request, and none after it."""
        fates = iter([fate])

        def decide(request: Request) -> Fate:
            hit = request.method == method and containing in request.path
            return next(fates, "pass") if hit else "pass"

        self.decide = decide


@contextmanager
def between(endpoint: str) -> Iterator[Middleman]:
    far = urlsplit(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            if self.headers.get("Expect") == "100-continue":
                self.send_response_only(100)
                self.end_headers()
                self.wfile.flush()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, body)
            middleman.requests.append(request)
            fate = middleman.decide(request)
            self.close_connection = fate != "pass"
            if fate == "lose the request":
                return
            line = http.client.HTTPConnection(far.hostname or "", far.port)
            try:
                headers = {name: value for name, value in self.headers.items() if name != "Expect"}
                line.request(self.command, self.path, body, headers)
                answer = line.getresponse()
                content = answer.read()
            finally:
                line.close()
            if fate != "lose the answer":
                self.send_response_only(answer.status, answer.reason)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
                for name, value in answer.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                self.wfile.write(content if fate == "pass" else content[:fate])

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 -- as http.server has it

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

    with answering(Handler) as origin:
        middleman = Middleman(origin)
        yield middleman
