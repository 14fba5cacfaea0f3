"""Fetching against a real server on loopback that speaks the wire format, faults included."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from recorder.errors import MediaRefusedError, MediaTooLargeError, PlatformError, PlatformUnreachableError
from recorder.fetch import allowed, call, open_url, origin_of


class WireServer:
    """Answers every connection with the bytes (or the script) it was given, and keeps the requests."""

    def __init__(self, answer: bytes | Callable[[socket.socket], None], family: int = socket.AF_INET) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        host, shown = ("::1", "[::1]") if family == socket.AF_INET6 else ("127.0.0.1", "127.0.0.1")
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://{shown}:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, suppress(OSError):
                    self.requests.append(peer.recv(65536))
                    if callable(self.answer):
                        self.answer(peer)
                    else:
                        peer.sendall(self.answer)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def wire() -> Iterator[Callable[..., WireServer]]:
    servers: list[WireServer] = []

    def start(answer: bytes | Callable[[socket.socket], None], **options: int) -> WireServer:
        servers.append(WireServer(answer, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def response(body: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    declared = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {declared}\r\nContent-Type: audio/wav\r\n\r\n".encode() + body


def fetch(server: WireServer, path: str = "/a.wav", **options: object) -> bytes:
    settings = {"origins": [server.origin], "private_ok": True, "timeout_s": 5, **options}
    with open_url("GET", server.origin + path, **settings) as media:  # type: ignore[arg-type] -- test options
        return b"".join(media.chunks(4096))


def test_hands_out_status_headers_and_body(wire: Callable[..., WireServer]) -> None:
    body = bytes(range(256)) * 100
    server = wire(response(body))
    with open_url(
        "GET",
        server.origin + "/r/1?x=%20y",
        origins=[server.origin],
        headers={"Authorization": "Bearer t"},
        private_ok=True,
    ) as media:
        assert media.status == 200
        assert media.headers["content-type"] == "audio/wav"
        chunks = list(media.chunks(1000))
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= 1000
    request = server.requests[0]
    assert request.startswith(b"GET /r/1?x=%20y HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in request
    assert b"Accept-Encoding: identity\r\n" in request
    assert b"Authorization: Bearer t\r\n" in request


def test_an_address_may_be_one_of_ipv6(wire: Callable[..., WireServer]) -> None:
    """Whoever asks lists the origin as `origin_of` spells it."""
    server = wire(response(b"hello"), family=socket.AF_INET6)

    assert origin_of(origin_of(server.origin + "/a.wav")) == server.origin
    assert fetch(server, origins=[origin_of(server.origin)]) == b"hello"
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_redirects_are_handed_out_not_followed(wire: Callable[..., WireServer]) -> None:
    target = wire(response(b"secret"))
    server = wire(f"HTTP/1.1 302 Found\r\nLocation: {target.origin}/\r\nContent-Length: 0\r\n\r\n".encode())
    origins = [server.origin, target.origin]
    assert call("GET", server.origin + "/", origins=origins, private_ok=True) == 302
    assert target.requests == []


def test_call_returns_the_status_of_a_delete(wire: Callable[..., WireServer]) -> None:
    server = wire(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert call("DELETE", server.origin + "/r/1", origins=[server.origin], private_ok=True) == 204
    assert server.requests[0].startswith(b"DELETE /r/1 ")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.wav",
        "http://127.0.0.1:1/a.wav",
        "https://127.0.0.1:{port}/a.wav",
        "http://user@127.0.0.1:{port}/a.wav",
        "http://127.0.0.1:{port}@example.com/a.wav",
        "http://127.0.0.1:{port}\\@example.com/a.wav",
        "http://127.0.0.1:{port}/a.wav#x",
        "http://127.0.0.1:{port}/a\r\nX: y",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/a.wav",
        "http:///a.wav",
        "http://127.1:{port}/a.wav",
        "http://[::1/a.wav",
        "http://ex\u00e6mple.dk/",
        "",
    ],
)
def test_refuses_every_address_off_the_list(wire: Callable[..., WireServer], url: str) -> None:
    server = wire(response(b"x"))
    with (
        pytest.raises(MediaRefusedError) as refused,
        open_url("GET", url.format(port=server.port), origins=[server.origin], private_ok=True),
    ):
        pass
    assert server.requests == []
    assert not refused.value.retryable
    assert "wav" not in str(refused.value)


def test_private_addresses_are_refused_unless_asked_for(wire: Callable[..., WireServer]) -> None:
    server = wire(response(b"x"))
    with pytest.raises(MediaRefusedError):
        fetch(server, private_ok=False)
    local = f"http://localhost:{server.port}"
    with pytest.raises(MediaRefusedError), open_url("GET", local + "/", origins=[local]):
        pass
    assert server.requests == []
    assert call("GET", local + "/", origins=[local], private_ok=True) == 200


@pytest.mark.parametrize(
    ("address", "private", "public"),
    [
        ("93.184.216.34", True, True),
        ("2001:4860:4860::8888", True, True),
        ("10.0.0.1", True, False),
        ("127.0.0.1", True, False),
        ("192.168.1.1", True, False),
        ("100.64.0.1", True, False),
        ("::1", True, False),
        ("fd00::1", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("2002:0a00:0001::", True, False),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("2002:a9fe:a9fe::", False, False),
        ("64:ff9b::93.184.216.34", True, True),
        ("64:ff9b::10.0.0.1", True, False),
        ("64:ff9b::169.254.169.254", False, False),
        ("64:ff9b:1::a9fe:a9fe", False, False),
        ("fd00:ec2::254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
    ],
)
def test_which_addresses_may_be_reached(address: str, private: bool, public: bool) -> None:
    assert allowed(address, private_ok=True) is private
    assert allowed(address, private_ok=False) is public


def test_origins_have_one_spelling() -> None:
    assert origin_of("HTTPS://Media.Example.com/x") == "https://media.example.com:443"
    assert origin_of("http://[::1]:8080/") == "http://[::1]:8080"


def test_a_short_body_is_retryable_and_never_whole(wire: Callable[..., WireServer]) -> None:
    with pytest.raises(PlatformError) as broken:
        fetch(wire(response(b"abc", length=10)))
    assert broken.value.retryable


def test_a_broken_chunked_body_is_never_whole(wire: Callable[..., WireServer]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde"
    with pytest.raises(PlatformError):
        fetch(wire(answer))


def test_a_whole_chunked_body_is_read(wire: Callable[..., WireServer]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert fetch(wire(answer)) == b"abcde"


def test_too_large_is_refused_before_and_while_reading(wire: Callable[..., WireServer]) -> None:
    with pytest.raises(MediaTooLargeError):
        fetch(wire(response(b"a" * 10, length=10_000_000)), max_bytes=100)
    with pytest.raises(MediaTooLargeError):
        fetch(wire(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\na"), max_bytes=100)
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"a" * 5000
    with pytest.raises(MediaTooLargeError):
        fetch(wire(endless), max_bytes=4999)
    assert fetch(wire(endless), max_bytes=5000) == b"a" * 5000


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_dripping_peer_is_cut_off_at_the_deadline(wire: Callable[..., WireServer], start: bytes) -> None:
    stop = threading.Event()

    def drip(peer: socket.socket) -> None:
        peer.sendall(start)
        while not stop.wait(0.02):
            peer.sendall(b"a")

    server = wire(drip)
    try:
        with pytest.raises(PlatformError):
            fetch(server, timeout_s=0.3)
    finally:
        stop.set()


def test_a_handshake_that_drips_is_cut_off(wire: Callable[..., WireServer]) -> None:
    """Python counts the timeout for the whole of a handshake, not for each byte of it; nothing else bounds it."""
    stop = threading.Event()

    def drip(peer: socket.socket) -> None:
        peer.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB follows
        while not stop.wait(0.02):
            peer.sendall(b"a")

    origin = wire(drip).origin.replace("http:", "https:")
    try:
        started = time.monotonic()
        with pytest.raises(PlatformUnreachableError):
            call("GET", origin, origins=[origin], private_ok=True, timeout_s=0.3)
        assert 0.2 < time.monotonic() - started < 30
    finally:
        stop.set()


def test_nobody_listening_and_garbage_are_retryable(wire: Callable[..., WireServer]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    with pytest.raises(PlatformError) as away, open_url("GET", origin + "/", origins=[origin], private_ok=True):
        pass
    assert away.value.retryable
    with pytest.raises(PlatformError):
        fetch(wire(b"\x00\x01 garbage\r\n\r\n"))
