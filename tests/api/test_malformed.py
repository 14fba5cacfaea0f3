"""What never reaches the application: how it is answered, and what is written down of it."""

from __future__ import annotations

import json
import socket
from http.client import HTTPResponse
from typing import Any, cast
from urllib.request import Request, urlopen

import pytest

from api import server
from api.headers import ALWAYS
from recorder.ports import Service
from tests.api.conftest import House, Idle, speech
from tests.api.test_worker import until
from tests.conftest import MovingClock


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RECORDER_HTTP__PORT": "0"}


MALFORMED = [
    b"GET /v1/recordings/+4520123456 x HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nAuthorization: Bearer rec_dpo_secret\x00\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nCookie access=secret\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nX: " + b"secret" * 2000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"X: secret\r\n" * 200 + b"\r\n",
]
LOST = [b"SECRET@ / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02secret\r\n\r\n"]  # not for us: nothing is written at all
UNPACKED = b"POST /webhooks/events HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"
UNKNOWN = [
    b"POST /webhooks/events HTTP/1.1\r\nHost: x\r\nExpect: %b\r\nContent-Length: 2\r\n\r\n" % expected
    for expected in (b"secret", b"secret \xff")
]


def answered(service: Service, head: bytes) -> tuple[HTTPResponse, dict[str, Any]]:
    with server.listening(service, cast("Any", Idle())) as port:
        return exchanged(port, head)


def exchanged(port: int, head: bytes) -> tuple[HTTPResponse, dict[str, Any]]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head)
        answer = HTTPResponse(client)
        answer.begin()
        return answer, json.loads(answer.read())


@pytest.mark.parametrize("head", MALFORMED)
def test_p2_a_malformed_head_is_not_written_down(
    service: Service, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    _, problem = answered(service, head)
    written = "".join(capfd.readouterr()) + caplog.text
    assert "http.malformed" in written
    assert problem["request_id"] in written
    assert not any(word in written for word in ("4520123456", "secret", "127.0.0.1:"))


@pytest.mark.parametrize("head", [*MALFORMED, *LOST])
def test_a_malformed_head_is_answered_as_everything_is_and_not_repeated(service: Service, head: bytes) -> None:
    answer, problem = answered(service, head)
    assert answer.status == 400
    assert problem == {
        "type": "urn:recorder:error:invalid_input",
        "title": "Bad Request",
        "status": 400,
        "code": "invalid_input",
        "detail": "bad request",
        "request_id": answer.headers["X-Request-ID"],
    }
    for name, value in ALWAYS.items():
        assert answer.headers.get_all(name) == [value]
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("head", [*MALFORMED, *LOST, *UNKNOWN, UNPACKED])
def test_p6_whatever_a_scanner_sends_warns_nobody(
    service: Service, capfd: pytest.CaptureFixture[str], head: bytes
) -> None:
    answered(service, head)
    lines = [json.loads(line) for line in "".join(capfd.readouterr()).splitlines()]
    assert {line["level"] for line in lines} <= {"info"}


def test_what_never_reaches_the_application_is_counted_all_the_same(service: Service, clock: MovingClock) -> None:
    bearer = House(service, clock, cast("Any", None)).bearer("operator")
    with server.listening(service, cast("Any", Idle())) as port:
        for head in (MALFORMED[0], LOST[0], *UNKNOWN):
            exchanged(port, head)
        with urlopen(Request(f"http://127.0.0.1:{port}/metrics", headers=bearer)) as answer:
            figures = answer.read().decode().splitlines()
    assert 'recorder_http_refusals_total{code="invalid_input",route="unknown"} 2.0' in figures
    assert 'recorder_http_refusals_total{code="expectation_failed",route="unknown"} 2.0' in figures


def test_a_fault_of_our_own_is_an_error(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Here a header of ours that cannot be written, found when all of our code has run."""
    monkeypatch.setitem(ALWAYS, "X-Broken", "a\nb")
    with (
        server.listening(service, cast("Any", Idle())) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b""
    lines = [json.loads(line) for line in "".join(capfd.readouterr()).splitlines()]
    assert [(line["level"], line["kind"]) for line in lines if line["event"] == "http.failed"] == [
        ("error", "ValueError")
    ]


@pytest.mark.parametrize("path", [b"/webhooks/events", b"/nowhere"])
@pytest.mark.parametrize("expected", [b"secret", b"secret \xff"])
def test_an_expectation_nobody_knows_is_a_problem_that_does_not_repeat_it(
    service: Service, capfd: pytest.CaptureFixture[str], path: bytes, expected: bytes
) -> None:
    answer, problem = answered(
        service, b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: %b\r\nContent-Length: 2\r\n\r\n" % (path, expected)
    )
    assert (answer.status, problem["code"], problem["detail"]) == (417, "expectation_failed", "expectation failed")
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert problem["request_id"] in (written := "".join(capfd.readouterr()))
    assert "secret" not in str(problem) + written
    for name, value in ALWAYS.items():
        assert answer.headers.get_all(name) == [value]


def test_who_asks_before_sending_a_body_is_told_to_go_on(service: Service) -> None:
    with (
        server.listening(service, cast("Any", Idle())) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"POST /v1/bounces HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        answer = HTTPResponse(client)
        answer.begin()
        assert answer.status == 401


def test_a_listener_who_goes_away_sent_nothing_malformed(
    service: Service, clock: MovingClock, capfd: pytest.CaptureFixture[str]
) -> None:
    """As every player does that is moved to another place."""
    house = House(service, clock, cast("Any", None))
    recording, bearer = house.stored(audio=speech(300)), house.bearer("dpo")["Authorization"]
    with server.listening(service, cast("Any", Idle())) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as player:
            path = f"/v1/recordings/{recording}/audio?purpose=quality"
            player.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n\r\n".encode())
            assert player.recv(100).startswith(b"HTTP/1.1 200")
        written = ""

        def over() -> bool:
            nonlocal written
            written += "".join(capfd.readouterr())
            return '"status": 499' in written

        until(over)
    written += "".join(capfd.readouterr())
    assert "http.malformed" not in written
