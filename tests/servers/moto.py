"""moto's server: S3 as AWS documents it. Ceph stands for what others make of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.s3 import Gateway


@pytest.fixture(scope="session")
def moto() -> Iterator[Gateway]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Gateway(f"http://{host}:{port}", "testing", "testing")
    server.stop()
