"""Outgoing HTTP to platforms: only to listed origins, only to the address that was checked, never redirected.

A media URL may come from outside, so the name is resolved once, every address it has is judged, and the connection
goes to a judged address: a second, different answer of the name server changes nothing (server-side request forgery).
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from recorder.errors import MediaRefusedError, MediaTooLargeError, PlatformError, PlatformUnreachableError
from recorder.ports import Media

PORTS = {"http": 80, "https": 443}
CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 30.0  # a peer that sends nothing for so long is away
DIGITS = 19  # more than any length has; Python reads thousands of them not at all
TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
METADATA = ipaddress.ip_address("fd00:ec2::254")  # the one cloud metadata address that is not link-local


def origin_of(url: str) -> str:
    """`scheme://host:port` in its one spelling: lower case, port always named. Raises `MediaRefusedError`."""
    return _origin(_parse(url))


def is_callable(url: str) -> bool:
    """Whether `call` would send anything to such an address: whether it may is another question."""
    with suppress(MediaRefusedError):
        _parse(url)
        return True
    return False


@contextmanager
def open_url(
    method: str,
    url: str,
    *,
    origins: Collection[str],
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 60,
    max_bytes: int = 1_000_000,
    private_ok: bool = False,
) -> Iterator[Media]:
    """Send a request and hand out the response for reading, whatever its status; redirects are not followed.

    `origins` is the allow-list (`scheme://host[:port]`). Private and loopback addresses are refused unless
    `private_ok`, link-local ones always. `timeout_s` bounds the whole exchange, however slowly bytes drip. Reading
    raises `PlatformError` (retryable) where the body ends before its declared length, and `MediaTooLargeError` beyond
    `max_bytes`. Errors never repeat the URL.
    """
    deadline = time.monotonic() + timeout_s
    parts = _parse(url)
    if _origin(parts) not in {origin_of(origin) for origin in origins}:
        raise MediaRefusedError("the address is not on the list of allowed origins")
    connection = _connect(parts, _addresses(parts, private_ok=private_ok), deadline)
    try:
        with (
            _cut_off(connection, deadline),
            closing(_exchange(connection, method, parts, headers or {}, body)) as response,
        ):
            received = {name.lower(): value for name, value in response.headers.items()}
            yield _Response(response.status, received, response, deadline, max_bytes)
    finally:
        connection.close()


def call(
    method: str,
    url: str,
    *,
    origins: Collection[str],
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 30,
    private_ok: bool = False,
) -> int:
    """Send a request whose answer's body does not matter, and return its status."""
    with open_url(
        method, url, origins=origins, headers=headers, body=body, timeout_s=timeout_s, private_ok=private_ok
    ) as response:
        return response.status


@dataclass
class _Response:
    status: int
    headers: Mapping[str, str]
    _response: urllib3.BaseHTTPResponse
    _deadline: float
    _max_bytes: int

    def chunks(self, size: int) -> Iterator[bytes]:
        """Bytes as they come in, at most `size` at a time."""
        declared = _length(self.headers.get("content-length"))
        if declared is not None and declared > self._max_bytes:
            raise MediaTooLargeError
        received = 0
        while data := self._read(size):
            received += len(data)
            if received > self._max_bytes:
                raise MediaTooLargeError
            yield data
        if declared is not None and received != declared:
            raise PlatformError("the body ended before its declared length")

    def _read(self, size: int) -> bytes:
        try:
            # `read` would wait for all of `size`; what has come is better passed on.
            data = self._response.read1(size, decode_content=False)
        except (HTTPError, http.client.HTTPException, OSError) as exc:
            raise PlatformError("the connection broke while reading") from exc
        if time.monotonic() >= self._deadline:
            raise PlatformError("the transfer took too long")
        return data


def _parse(url: str) -> Url:
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise MediaRefusedError("the address is malformed")
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise MediaRefusedError("the address is malformed") from None  # its message repeats the URL
    if parts.scheme not in PORTS or not parts.host or parts.auth is not None or parts.fragment is not None:
        raise MediaRefusedError("the address is not plain http(s)")
    return parts._replace(host=parts.host.strip("[]").lower(), port=parts.port or PORTS[parts.scheme])


def _origin(parts: Url) -> str:
    return f"{parts.scheme}://{_host(parts)}:{parts.port}"


def _host(parts: Url) -> str:
    return f"[{parts.host}]" if ":" in (parts.host or "") else str(parts.host)


def _connect(parts: Url, addresses: list[str], deadline: float) -> HTTPConnection:
    """A connection to the first address that answers."""
    for address in addresses:
        timeout = min(CONNECT_TIMEOUT_S, deadline - time.monotonic())
        if timeout <= 0:
            break
        connection = _connection(parts, address, timeout)
        try:
            connection.connect()
        except (HTTPError, OSError):
            connection.close()
            continue
        connection.sock.settimeout(SILENCE_TIMEOUT_S)
        return connection
    raise PlatformUnreachableError("the far side is not reachable")


def _connection(parts: Url, address: str, timeout: float) -> HTTPConnection:
    if parts.scheme == "http":
        return HTTPConnection(address, parts.port, timeout=timeout)
    return HTTPSConnection(address, parts.port, timeout=timeout, cert_reqs="CERT_REQUIRED", server_hostname=parts.host)


@contextmanager
def _cut_off(connection: HTTPConnection, deadline: float) -> Iterator[None]:
    """Shut the socket down at the deadline: a peer that drips passes every timeout of a single read."""
    connected = connection.sock

    def shut() -> None:
        with suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # TLS's own would touch what the reader is using

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exchange(
    connection: HTTPConnection, method: str, parts: Url, headers: Mapping[str, str], body: bytes | None
) -> urllib3.BaseHTTPResponse:
    fixed = {"Host": _host_header(parts), "Accept-Encoding": "identity"}
    try:
        connection.request(method, parts.request_uri, body=body, headers={**headers, **fixed}, preload_content=False)
        return connection.getresponse()
    except (HTTPError, http.client.HTTPException, OSError) as exc:
        raise PlatformError("the far side did not answer") from exc


def _host_header(parts: Url) -> str:
    host = _host(parts)
    return host if parts.port == PORTS[str(parts.scheme)] else f"{host}:{parts.port}"


def _addresses(parts: Url, *, private_ok: bool) -> list[str]:
    """Every address of the host; one forbidden among them refuses all, since a name server decides their order."""
    try:
        found: list[Any] = socket.getaddrinfo(parts.host, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise PlatformUnreachableError("the far side's name does not resolve") from exc
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not all(allowed(address, private_ok=private_ok) for address in addresses):
        raise MediaRefusedError("the address is private")
    return addresses


def allowed(address: str, *, private_ok: bool) -> bool:
    """Whether an address may be connected to; link-local ones (cloud metadata) never, private ones if `private_ok`."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _led_to(ip)
    if ip.is_multicast or ip.is_link_local or ip.is_unspecified or ip == METADATA:
        return False
    return ip.is_global or private_ok


def _led_to(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that the kernel or a translator in the network turns it into; else the address itself."""
    if any(ip in network for network in TRANSLATED):
        return ipaddress.IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or ip


def _length(value: str | None) -> int | None:
    return int(value[:DIGITS]) if value is not None and value.isascii() and value.isdigit() else None
