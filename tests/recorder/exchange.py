"""A telephone exchange for tests: serves recordings over real HTTP, deletes them on request, tells us of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

import pytest

from recorder import calls
from recorder.events import Event
from recorder.ports import Service
from tests.servers.loopback import answering

TOKEN = "media-token-for-tests"
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Exchange:
    """Recordings by path: bytes to serve, or what to do with the request. `gets` and `deletes` are what came in."""

    origin: str
    recordings: dict[str, bytes | Answer] = field(default_factory=dict)
    gets: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    delete_status: int = 204

    def environment(self) -> dict[str, str]:
        return {
            "RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS": self.origin,
            "RECORDER_PLATFORMS__STANDARD__MEDIA_TOKEN": TOKEN,
        }


@contextmanager
def running() -> Iterator[Exchange]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            exchange.gets.append(self.path)
            answer = exchange.recordings.get(self.path)
            if callable(answer):
                answer(self)
            elif answer is None or self.headers["Authorization"] != f"Bearer {TOKEN}":
                reply(self, b"<html>Not found</html>", 404, "text/html")
            else:
                reply(self, answer)

        def do_DELETE(self) -> None:
            exchange.deletes.append(self.path)
            self.send_response(exchange.delete_status)
            self.end_headers()

    with answering(Handler) as origin:
        exchange = Exchange(origin)
        yield exchange


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with running() as running_exchange:
        yield running_exchange


@pytest.fixture
def environment(environment: dict[str, str], exchange: Exchange) -> dict[str, str]:
    """The settings of a house that the exchange tells of its calls."""
    return environment | exchange.environment()


def reply(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    status: int = 200,
    content_type: str = "audio/wav",
    *,
    length: int | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


class Story:
    """One inbound call as an exchange tells it: recorded from its first second, consented to when told."""

    numbers = count(1)

    def __init__(self, service: Service, start: datetime, name: str | None = None) -> None:
        self.service = service
        self.start = start
        self.call_id = name or f"pbx-{next(self.numbers)}"
        self.recording = f"{self.call_id}-r"
        self._keys = count(1)

    def tell(self, kind: str, after_s: float = 0, **data: Any) -> None:
        at = self.start + timedelta(seconds=after_s)
        key = f"{self.call_id}-{kind}-{next(self._keys)}"
        event = Event(
            kind,  # type: ignore[arg-type] -- spelled out by each test
            "standard",
            self.call_id,
            key,
            at=at,
            stamped_at=at,
            opens=kind == "call.started",
            data=data,
        )
        calls.register(self.service, event, at)

    def begin(self, **data: Any) -> None:
        told = {"direction": "inbound", "from": "+4520123456", "to": "+4570123456", "customer_type": "private"}
        self.tell("call.started", **{**told, "account": "A-1001", "agent": "a-17", "queue": "billing", **data})

    def consent(self, after_s: float = 0, decision: str = "granted", **data: Any) -> None:
        self.tell(f"consent.{decision}", after_s, **{"method": "dtmf", "digit": "1", "script": "inbound-da@1", **data})

    def record(self, after_s: float = 0) -> None:
        self.tell("recording.started", after_s, recording_id=self.recording)

    def available(self, url: str | None, after_s: float, started_s: float = 0, **data: Any) -> None:
        began = (self.start + timedelta(seconds=started_s)).isoformat()
        told = {"recording_id": self.recording, "url": url, "started_at": began, **data}
        self.tell("recording.available", after_s, **told)

    def end(self, after_s: float) -> None:
        self.tell("call.ended", after_s)
