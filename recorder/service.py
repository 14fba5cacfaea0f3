"""Builds everything from settings: the one place that names concrete parts."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from recorder import platforms, restoring, scripts
from recorder.couriers import caller_for, mailer_for, texter_for
from recorder.directory import directory_for
from recorder.errors import ConfigurationError, UnsafeError
from recorder.lines import Lines
from recorder.ports import Service
from recorder.settings import Settings
from storage.clock import utc_now
from storage.database import Database
from storage.errors import KeyRingMissingError, StoreMissingError
from storage.inbox import Inbox
from storage.keyring import KeyRing, load_root_key
from storage.migrations import migrate
from storage.objects import ObjectStore
from storage.objects_folder import FolderStore
from storage.objects_s3 import S3Store
from storage.probe import ring_faults
from storage.vault import Vault

NO_STORE = "not a store; use file:///folder or s3://bucket/prefix"  # not the URL itself: a password may stand there


class Bell:
    """Lets a use case say that there is work, whether or not anybody listens yet."""

    def __init__(self) -> None:
        self.answer: Callable[[str], None] | None = None

    def __call__(self, job: str) -> None:
        if self.answer is not None:
            self.answer(job)


@contextmanager
def opened(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> Iterator[Service]:
    """A running service: schema migrated, key ring checked and stocked, inbox accepting; closed in order at the end.

    Raises `ConfigurationError` where starting would break a promise: a root key that is not this ring's, a store
    that cannot be reached. Keeps plaintext and keys out of core dumps for the whole process.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _require_parts(settings)
    make_home(settings)
    with closing(Database(settings.database_url)) as database:
        migrate(database)
        service = _assembled(settings, database, clock)
        now = clock()
        service.keyring.open(now)
        service.keyring.ensure(now)
        with database.write() as connection:
            scripts.install(connection, now)
            service.inbox.retry_failed(connection)
        restoring.erase_again(service, now)
        service.inbox.start()
        try:
            yield service
        finally:
            service.inbox.close()


def _require_parts(settings: Settings) -> None:
    """Raise one `ConfigurationError` for all settings no part can be made of, before any place is made or asked."""
    places = {
        "RECORDER_STORE__URL": settings.store_url,
        "RECORDER_KEYS__URL": settings.keys_url,
        "RECORDER_KEYS__MIRROR_URL": settings.keys.mirror_url or settings.keys_url,
    }
    faults = [f"{name}: {NO_STORE}" for name, url in places.items() if not _names_a_store(url)]
    of_settings: tuple[Callable[[Settings], object], ...] = (
        platforms.from_settings,
        directory_for,
        mailer_for,
        texter_for,
        caller_for,
        lambda settings: Lines(settings.lines_path),
    )
    for make in of_settings:
        try:
            make(settings)
        except ConfigurationError as exc:
            faults.append(str(exc))
    if faults:
        raise ConfigurationError("; ".join(faults))


def make_home(settings: Settings) -> None:
    """Make the data folder. Raises `ConfigurationError` where it cannot be."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigurationError(f"RECORDER_DATA_DIR: the folder cannot be made: {exc.strerror}") from exc


def _assembled(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Service:
    in_use = _in_use(database)
    ring, mirror = rings_for(settings, in_use=in_use)
    if in_use:
        _require_keys(ring, mirror)
    for place in (ring, mirror) if mirror else (ring,):
        _require_fit(place, settings)
    root_key = load_root_key(settings.root_key_path, settings.root_key(), ring)
    keyring = KeyRing(database, ring, root_key, mirror)
    return Service(
        settings=settings,
        database=database,
        keyring=keyring,
        vault=Vault(
            keyring, store_for(settings.store_url, settings.store.endpoint_url, settings.store.region, in_use=in_use)
        ),
        inbox=Inbox(database, keyring),
        platforms=platforms.from_settings(settings),
        lines=Lines(settings.lines_path),
        directory=directory_for(settings),
        mailer=mailer_for(settings),
        texter=texter_for(settings),
        clock=clock,
        wake=Bell(),
        caller=caller_for(settings),
    )


def _in_use(database: Database) -> bool:
    """Whether there was a start before. If so, a folder that is missing is only away, and is not made anew."""
    with database.read() as connection:
        return bool(scripts.list_scripts(connection))  # a first start writes them once it has made stores and keys


def rings_for(settings: Settings, *, in_use: bool = False) -> tuple[ObjectStore, ObjectStore | None]:
    """Key ring and mirror; buckets are asked at the store's endpoint unless the ring has its own.

    A mirror may be new at any start, and is made.
    """
    at = (settings.keys_endpoint_url, settings.store.region)
    mirror_url = settings.keys.mirror_url
    return store_for(settings.keys_url, *at, in_use=in_use), store_for(mirror_url, *at) if mirror_url else None


def _require_keys(ring: ObjectStore, mirror: ObjectStore | None) -> None:
    """Raise where a ring that was in use holds no key: the real one is away. If this one were filled from the mirror,
    nobody would destroy the keys in it once the real one is back."""
    with suppress(StoreMissingError):
        if not _is_empty(ring):
            return
    if mirror is not None and not _is_empty(mirror):
        raise KeyRingMissingError("the key ring holds no key, though its mirror does")
    raise KeyRingMissingError


def _require_fit(place: ObjectStore, settings: Settings) -> None:
    """A place that holds no key yet must be fit for one: the first key binds the database to the ring."""
    if _is_empty(place):
        faults = list(ring_faults(place.truth(), region=settings.store.region))
        if faults:
            raise UnsafeError(f"the {place.name} cannot be the key ring: " + "; ".join(faults))


def _is_empty(place: ObjectStore) -> bool:
    return not any(True for _ in place.keys(""))


def store_for(url: str, endpoint_url: str = "", region: str = "", *, in_use: bool = False) -> ObjectStore:
    """The object store a URL names: `file:///folder` or `s3://bucket/prefix`. Raises `ConfigurationError` for another.

    Nothing is asked of a bucket yet.
    """
    if not _names_a_store(url):
        raise ConfigurationError(NO_STORE)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)), in_use=in_use)
    return S3Store(parts.netloc, unquote(parts.path), endpoint_url=endpoint_url, region=region)


def _names_a_store(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "file" or (parts.scheme == "s3" and bool(parts.hostname) and parts.netloc == parts.hostname)
