"""SIGTERM while requests come in: who was answered loses nothing, and nobody is left without an answer."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest

from recorder.service import opened
from recorder.settings import load
from tests.api.test_worker import serving, signed, until

DRAIN_SECONDS = 3  # more than the slowest machine needs from a readiness that is refused to the last new connection
QUICK_SECONDS = 5.0


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@dataclass
class Caller:
    """A balancer with one connection, which it keeps until told to close it; a new one goes where it is welcome."""

    port: int
    name: str
    taken: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        for number in range(100_000):
            if connection is None:
                if not listens(self.port) or readiness(self.port) != 200:
                    return  # the next connection is made to another replica
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            call = f"{self.name}-{number}"
            try:
                connection.request("POST", "/webhooks/events", *signed(call))
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"{call}: {error!r}")
                return
            (self.taken if answer.status == 204 else self.wrong).append(call)
            if answer.headers.get("Connection") == "close":
                connection.close()
                connection = None


def readiness(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
    connection.close()
    return status


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_p6_nobody_who_was_let_in_goes_without_an_answer_when_it_stops(environment: dict[str, str]) -> None:
    environment |= {"RECORDER_HTTP__DRAIN_S": str(DRAIN_SECONDS)}
    with serving(environment) as house:
        callers = [Caller(house.port, f"c{number}") for number in range(4)]
        threads = [threading.Thread(target=caller.run) for caller in callers]
        for thread in threads:
            thread.start()
        until(lambda: all(len(caller.taken) > 20 for caller in callers))
        slow, rest = begun_request(house.port)
        assert readiness(house.port) == 200
        house.process.send_signal(signal.SIGTERM)
        until(lambda: readiness(house.port) == 503)
        for thread in threads:
            thread.join(30)
        until(lambda: not listens(house.port))
        slow.sendall(rest)  # no new connection is taken any more, this one is
        assert slow.recv(100).startswith(b"HTTP/1.1 204")
        slow.close()
        assert house.process.wait(60) == 0

    assert [wrong for caller in callers for wrong in caller.wrong] == []
    environment.pop("RECORDER_HTTP__DRAIN_S")
    with opened(load(environment)) as service, service.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM inbox").scalar_one()
    assert kept == sum(len(caller.taken) for caller in callers) + 1


def begun_request(port: int) -> tuple[socket.socket, bytes]:
    """A webhook of which the head and the first ten bytes have arrived, and what is still to come."""
    body, headers = signed("slow")
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /webhooks/events HTTP/1.1", "Host: x", f"Content-Length: {len(body.encode())}", *lines]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n" + body[:10]).encode())
    return connection, body[10:].encode()


def test_a_second_signal_ends_it_at_once(environment: dict[str, str]) -> None:
    with serving(environment | {"RECORDER_HTTP__DRAIN_S": "300"}) as house:
        house.process.send_signal(signal.SIGTERM)
        until(lambda: readiness(house.port) == 503)
        asked = time.monotonic()
        house.process.send_signal(signal.SIGTERM)
        assert house.process.wait(QUICK_SECONDS) == 128 + signal.SIGTERM
        assert time.monotonic() - asked < QUICK_SECONDS
