"""What one client may not do to the others: open links without end, or hold connections without asking anything."""

from __future__ import annotations

import ipaddress
import select
import socket
import time
from contextlib import ExitStack, suppress
from datetime import timedelta
from http.client import HTTPResponse
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from api import limits, server
from api.app import create_app
from api.limits import Allowance, caller, one_stream_more
from recorder.errors import TooManyError
from recorder.ports import Service
from tests.api.conftest import SAME_ORIGIN, House, Idle
from tests.api.test_worker import until
from tests.conftest import BEGINNING

NET = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RECORDER_HTTP__PORT": "0"}


def test_an_address_has_so_many_at_once_and_one_more_each_second() -> None:
    allowance = Allowance(3)
    assert [allowance.take("a", BEGINNING) for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take("b", BEGINNING)
    assert not allowance.take("a", BEGINNING + timedelta(milliseconds=900))
    assert allowance.take("a", BEGINNING + timedelta(seconds=1))
    assert not allowance.take("a", BEGINNING + timedelta(seconds=1))
    assert not allowance.take("a", BEGINNING)  # a clock that goes back gives nothing
    later = BEGINNING + timedelta(days=1)
    assert [allowance.take("a", later) for _ in range(4)] == [True, True, True, False]


def test_no_more_addresses_are_remembered_than_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADDRESSES", 2)
    allowance = Allowance(1)
    for address in "abc":
        assert allowance.take(address, BEGINNING)
    assert len(allowance._left) == 2
    assert not allowance.take("c", BEGINNING)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),  # nobody we trust says so
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.9, 10.0.0.2"], "198.51.100.9"),  # what the client wrote stands left of it
        ("10.0.0.1", ["6.6.6.6", "198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["what?"], "unknown"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("fd00::1", ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("", [], "unknown"),
    ],
)
def test_whose_request_it_is(peer: str, forwarded: list[str], found: str) -> None:
    assert caller(peer, forwarded, NET) == found


async def test_p4_an_address_that_opens_too_often_is_told_so_whatever_it_has_to_show(house: House) -> None:
    house.client.server.app[limits.OPENINGS]._at_once = 3  # type: ignore[union-attr]
    for n in range(3):
        answer = await house.client.post("/access/open", data={"token": f"{n:040}"}, headers=SAME_ORIGIN)
        assert answer.status == 200
    known = await house.client.post("/access/open", data={"token": "x" * 43}, headers=SAME_ORIGIN)
    forged = await house.client.post(
        "/access/open", data={"token": "x"}, headers=SAME_ORIGIN | {"X-Forwarded-For": "198.51.100.9"}
    )
    assert [(one.status, one.headers["Retry-After"]) for one in (known, forged)] == [(429, "5")] * 2
    assert "Set-Cookie" not in known.headers

    house.clock.advance(seconds=1)
    again = await house.client.post("/access/open", data={"token": "x" * 43}, headers=SAME_ORIGIN)
    assert again.status == 200


def test_p6_streams_are_counted_by_link_and_while_they_last(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAMS_AT_ONCE", 2)
    request = make_mocked_request("GET", "/", app=create_app(service))

    with one_stream_more(request, "lnk_a"), one_stream_more(request, "lnk_b"):
        for _ in range(3):
            with one_stream_more(request, "lnk_a"), pytest.raises(TooManyError), one_stream_more(request, "lnk_a"):
                pass
    assert not request.app[limits.STREAMS]


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_p6_a_head_that_drips_in_is_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """On a new connection and on one that has been used: bytes now and then do not keep it open."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 1.0)
    with (
        server.listening(service, cast("Any", Idle())) as port,
        socket.create_connection(("127.0.0.1", port), timeout=0.2) as slow,
    ):
        slow.sendall(before + b"GET /healthz HTTP/1.1\r\n")
        started = time.monotonic()
        while time.monotonic() - started < 20:
            try:
                slow.sendall(b"X-Drip: 1\r\n")
                if not slow.recv(65536):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert 0.9 <= time.monotonic() - started < 15


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux's")
def test_p6_who_reads_nothing_is_not_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """More answers than fit on the way are asked for, and none is taken. Who was dropped learns it by speaking."""
    monkeypatch.setattr(server, "READ_SECONDS", 1.0)
    with server.listening(service, cast("Any", Idle())) as port, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.settimeout(10)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        dropped = select.poll()
        dropped.register(deaf, select.POLLERR)
        started = time.monotonic()
        while not dropped.poll(100) and time.monotonic() - started < 20:
            deaf.sendall(b"G")
        assert 0.9 <= time.monotonic() - started < 15


def test_p6_there_are_no_more_connections_than_files_for_what_they_ask(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who comes when it is full is sent away at once, and those who are there go on. It is told, not for each."""
    monkeypatch.setattr(server, "room", lambda: 3)

    with server.listening(service, cast("Any", Idle())) as port, ExitStack() as crowd:
        asking = [crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(3)]

        def served(client: socket.socket) -> bool:
            with suppress(ConnectionError):
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = HTTPResponse(client)
                answer.begin()
                return bool(answer.read())
            return False

        def somebody_else() -> bool:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                return served(client)

        assert [served(client) for client in asking] == [True] * 3
        assert [somebody_else() for _ in range(5)] == [False] * 5
        assert [served(client) for client in asking] == [True] * 3
        asking.pop().close()
        until(somebody_else)
    assert "".join(capfd.readouterr()).count("http.full") == 1
