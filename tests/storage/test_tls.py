"""Database and store across a network: TLS with whom we meant to talk to, or nothing is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.engine import make_url

from storage.database import Database
from storage.errors import DatabaseUnavailableError, StoreUnavailableError
from storage.objects_s3.uploading import PART
from tests.objects import KEY
from tests.servers.ceph import Another, Cluster
from tests.servers.tls import Pooler, pooler


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Path:
    return _pem(authority, tmp_path / "ca.pem")


@pytest.fixture
def front(url: str, authority: trustme.CA) -> Iterator[Pooler]:
    with pooler(_socket(url), authority.issue_cert("localhost")) as running:
        yield running


@pytest.fixture
def gateway(ceph: Cluster, authority: trustme.CA, tmp_path: Path) -> Iterator[Another]:
    with ceph.another(_leaf(authority, "localhost", tmp_path / "localhost.pem")) as running:
        yield running


def _socket(url: str) -> Path:
    return Path(str(make_url(url).query["host"]), ".s.PGSQL.5432")


def _pem(authority: trustme.CA, path: Path) -> Path:
    authority.cert_pem.write_to_path(path)
    return path


def _leaf(authority: trustme.CA, name: str, path: Path) -> Path:
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
    return path


def across(url: str, front: Pooler, trusted: Path) -> Database:
    """The database as `docs/operating.md` has it named: by a server's name, and with the issuer we trust."""
    name = make_url(url).database
    where = f"localhost:{front.port}/{name}?hostaddr=127.0.0.1"
    return Database(f"postgresql+psycopg://postgres@{where}&sslmode=verify-full&sslrootcert={trusted}")


def asked(database: Database) -> int:
    """One question by each of the ways we have to a server."""
    try:
        with database.read() as connection:
            one: int = connection.execute(text("SELECT 1")).scalar_one()
        with database.write() as connection:
            two: int = connection.execute(text("SELECT 2")).scalar_one()
        with database.write(accepting=True) as connection:
            three: int = connection.execute(text("SELECT 3")).scalar_one()
    finally:
        database.close()
    return one + two + three


def test_p2_rows_travel_under_tls(url: str, front: Pooler, trusted: Path) -> None:
    assert asked(across(url, front, trusted)) == 6
    assert set(front.versions) == {"TLSv1.3"}


def test_p2_a_stranger_who_says_to_be_the_database_is_told_nothing(
    url: str, authority: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    other = _pem(trustme.CA(), tmp_path / "other.pem")
    for name, believed in (("elsewhere.example", trusted), ("localhost", other)):
        with pooler(_socket(url), authority.issue_cert(name)) as stranger:
            with pytest.raises(DatabaseUnavailableError):
                asked(across(url, stranger, believed))
            assert stranger.versions == []


@pytest.mark.parametrize("size", [5, 2 * PART + 3])
def test_p2_objects_travel_under_tls(
    ceph: Cluster, gateway: Another, trusted: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
    store = ceph.store(ceph.bucket(), endpoint=gateway.endpoint)
    data = bytes(range(256)) * (size // 256 + 1)
    upload = store.create(KEY, {"segment": "private_inbound"})
    upload.write(data[:size])

    assert upload.commit() == size
    assert b"".join(store.read(KEY, 1)) == data[1:size]
    assert store.tags(KEY) == {"segment": "private_inbound"}
    assert store.delete(KEY) == 1


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_p2_a_stranger_who_says_to_be_the_store_is_told_nothing(
    ceph: Cluster, authority: trustme.CA, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = _pem(trustme.CA(), tmp_path / "other.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other if name == "localhost" else trusted))
    with ceph.another(_leaf(authority, name, tmp_path / "leaf.pem")) as stranger:
        store = ceph.store(ceph.bucket(), endpoint=stranger.endpoint)
        with pytest.raises(StoreUnavailableError, match="certificate was not accepted"):
            store.size(KEY)
