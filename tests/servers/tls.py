"""A pooler in front of a PostgreSQL server, which speaks TLS with whoever connects, as managed databases do."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL 18, 54.7 "Message Formats"
BLOCK = 65536


@dataclass
class Pooler:
    """`versions` are the TLS versions agreed on, one for each connection that was handed on."""

    port: int
    versions: list[str] = field(default_factory=list)


@contextmanager
def pooler(behind: Path, leaf: trustme.LeafCert) -> Iterator[Pooler]:
    """Listen on localhost, and hand what comes on to the socket of a server, once its peer has accepted `leaf`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as door:
        front = Pooler(door.getsockname()[1])

        def listen() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = door.accept()
                    threading.Thread(target=serve, args=[peer], daemon=True).start()

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                assert peer.recv(len(SSL_REQUEST)) == SSL_REQUEST
                peer.sendall(b"S")
                with context.wrap_socket(peer, server_side=True) as secure, socket.socket(socket.AF_UNIX) as server:
                    hello = secure.recv(BLOCK)  # sent only by a client that has accepted our certificate
                    if not hello:
                        return
                    front.versions.append(secure.version() or "")
                    server.connect(str(behind))
                    server.sendall(hello)
                    back = threading.Thread(target=pump, args=[server, secure], daemon=True)
                    back.start()
                    pump(secure, server)
                    back.join()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield front
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
