"""What is asked of the parts of a running service: clock, database, key ring, store, lines, directory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import text

from recorder.checkup.findings import Finding, found
from recorder.ports import Service
from recorder.segments import SEGMENTS
from recorder.settings import is_loopback
from storage import audit
from storage.clock import new_id
from storage.migrations import revision
from storage.probe import ring_faults, store_doubts, store_faults

NOBODY = "+4500000000"
BEHIND = timedelta(minutes=5)
MAINTAINED = 14  # PostgreSQL's oldest maintained version, November 2026
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


def clock(service: Service, now: datetime) -> Iterator[Finding]:
    with service.database.read() as connection:
        latest = audit.latest(connection)
    doubts = [found("clock_behind")] if latest is not None and now + BEHIND < latest else []
    for whose, theirs in (
        ("database server", service.database.server_time()),
        ("store", service.vault.objects.clock()),
    ):
        if theirs is not None and abs(theirs - now) > BEHIND:
            doubts.append(found("clock_differs", whose=whose))
    yield from doubts or [found("clock_ok", now=f"{now:%Y-%m-%d %H:%M:%S}")]


def database(service: Service, _now: datetime) -> Iterator[Finding]:
    with service.database.write():
        pass  # a transaction that begins and commits is what webhooks need
    schema = revision(service.database)
    if service.database.sqlite:
        with service.database.read() as connection:
            version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
        yield found("database_ok", what=f"SQLite {version}", schema=schema)
    else:
        yield from _postgresql(service, schema)


def _postgresql(service: Service, schema: str) -> Iterator[Finding]:
    with service.database.read() as connection:
        told = {
            name: str(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in (*DURABLE, "server_version")
        }
        standby = connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
        superuser = connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one()
        # A socket on this machine needs no encryption: it has no address.
        plain = connection.execute(
            text(
                "SELECT inet_client_addr() IS NOT NULL AND NOT host(inet_client_addr())::inet <<= '127.0.0.0/8'::inet"
                " AND NOT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
            )
        ).scalar_one()
    trying_out = is_loopback(service.settings.http.public_url)
    for name in DURABLE:
        if told[name] == "off":
            yield found("database_hasty" if trying_out else "database_not_durable", setting=name, value=told[name])
    if standby:
        yield found("database_standby")
    if int(told["server_version"].split(".")[0]) < MAINTAINED:
        yield found("database_old", version=told["server_version"])
    if superuser:
        yield found("database_superuser")
    if plain:
        yield found("database_plain")
    yield found("database_ok", what=f"PostgreSQL {told['server_version']}", schema=schema)


def keys(service: Service, now: datetime) -> Iterator[Finding]:
    settings = service.settings
    service.keyring.ensure(now)
    yield found("keys_ok", days=len(service.keyring.search_keys(now)))
    for place in service.keyring.places:
        for why in ring_faults(place.truth(), region=settings.store.region):
            yield found("keys_place_faulty", place=place.name, why=why)
    if not settings.keys.mirror_url:
        yield found("keys_no_mirror")
    if not settings.keys.url:
        yield found("keys_beside_data")
    ring, store = urlsplit(settings.keys_url), urlsplit(settings.store_url)
    if ring.scheme == store.scheme == "s3" and ring.netloc == store.netloc:
        yield found("keys_beside_recordings")


def store(service: Service, _now: datetime) -> Iterator[Finding]:
    """Writes one small object and deletes it again."""
    objects = service.vault.objects
    truth = objects.truth(anew=True)
    faults = [*store_faults(truth, region=service.settings.store.region), *_tried(service)]
    for why in faults:
        yield found("store_faulty", why=why)
    # A folder has no rules of its own that could delete behind us.
    wanted = tuple(f"{segment}/" for segment in SEGMENTS) if service.settings.store_url.startswith("s3:") else ()
    for why in store_doubts(truth, wanted):
        yield found("store_doubtful", why=why)
    if not faults:
        yield found("store_ok")


def _tried(service: Service) -> Iterator[str]:
    objects, name = service.vault.objects, f"doctor/{new_id('probe')}"
    upload = objects.create(name, {"probe": "1"})
    upload.write(b"probe")
    upload.commit()
    read = b"".join(objects.read(name, 1, 3))
    objects.delete(name)
    if read != b"ro":
        yield "a range came back wrong"
    if objects.remaining(name):
        yield "a deleted object is still there"


def lines(service: Service, now: datetime) -> Iterator[Finding]:
    with service.database.read() as connection:
        faults = service.lines.check(connection, now)
    for why in faults:
        yield found("lines_faulty", why=why)
    if not faults:
        count = len(service.lines.all())
        yield found("lines_ok", count=count) if count else found("lines_none")


def directory(service: Service, _now: datetime) -> Iterator[Finding]:
    service.directory.by_phone(NOBODY)
    yield found("directory_none" if service.directory.is_empty() else "directory_ok")
