"""Where figures are taken: on the embedded default, and on a server's database with a real S3 gateway.

Servers are started once for all subjects, by the first that asks, and end with the process.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.servers.ceph import Cluster, absent, ceph_gateway
from tests.servers.postgresql import Server, server

_running = ExitStack()
atexit.register(_running.close)


@dataclass(frozen=True)
class Place:
    """A database and a store by name, and the settings that name them; `credentials` belong in the environment."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    gateway: Cluster | None = None
    bucket: str = ""


def places() -> list[Place]:
    """Both places, each with an empty database; without Ceph's programs on this machine only the embedded one."""
    return [Place("SQLite + folder")] if absent() else [Place("SQLite + folder"), company()]


def company() -> Place:
    """PostgreSQL and Ceph, a new database and a new bucket in them."""
    cluster = ceph()
    bucket = cluster.bucket()
    settings = {
        "RECORDER_DATABASE__URL": postgresql().create(),
        "RECORDER_STORE__URL": f"s3://{bucket}/objects",
        "RECORDER_STORE__ENDPOINT_URL": cluster.endpoint,
        "RECORDER_STORE__REGION": cluster.region,
    }
    return Place("PostgreSQL + Ceph", settings, cluster.credentials, cluster, bucket)


@cache
def ceph() -> Cluster:
    return _running.enter_context(ceph_gateway(folder() / "c"))


@cache
def postgresql() -> Server:
    return _running.enter_context(server(folder()))


@cache
def folder() -> Path:
    """A folder for servers' files: in memory where possible, and with a short name, since sockets lie in it."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    return Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=where)))
