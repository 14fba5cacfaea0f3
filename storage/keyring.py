"""The key ring: day keys that die with the recordings of their day, inbox keys that die with the events of theirs.

A key's id is claimed by its database row before its object is written, so that no store has to decide between two
writers; it is used only after it was read back. Losing the ring loses every recording: that is what it is for.
Handles key material.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from storage.clock import utc_day
from storage.database import Database
from storage.errors import (
    ConfigurationError,
    KeyDestroyedError,
    KeyRingMissingError,
    KeyUnavailableError,
    ObjectNotFoundError,
    StoreUnavailableError,
)
from storage.keymaking import keys, make, rows_in
from storage.keyobjects import KeyName, KeyObjects, RootKey
from storage.keys import INBOX_DAYS, Key, KeyCache, derive
from storage.objects import ObjectStore
from storage.rootkey import load_root_key

__all__ = ["DAYS_AHEAD", "INBOX_DAYS", "INBOX_DAYS_AHEAD", "Key", "KeyRing", "load_root_key"]

DAYS_AHEAD = 97  # 90 days kept, and a week in which the ring may be away
INBOX_DAYS_AHEAD = 7
PURPOSES = frozenset({"service", "day", "inbox"})  # of keys; whatever else lies in the ring is a note

_STATE = select(keys.c.state).where(keys.c.id == bindparam("key")).with_for_update(read=True)
_READY = select(keys.c.id).where(
    keys.c.purpose == bindparam("purpose"), keys.c.day == bindparam("folder"), keys.c.state == "ready"
)


class KeyRing:
    """Makes, finds and destroys keys. Thread-safe; `open` comes first, `ensure` at least once a day.

    Lifetimes: a day key exists from `DAYS_AHEAD` days before its UTC day until it is destroyed after that day; an
    inbox key from `INBOX_DAYS_AHEAD` days before its day until `INBOX_DAYS` days after. In memory an inbox key stays
    while it may be needed to accept events, any other key for minutes (`KeyCache`).
    """

    def __init__(
        self, database: Database, ring: ObjectStore, root_key: bytes, mirror: ObjectStore | None = None
    ) -> None:
        self._database = database
        self._stores = [ring] if mirror is None else [ring, mirror]
        self._objects = KeyObjects(RootKey(root_key), self._stores)
        self._making = threading.Lock()
        self._cache = KeyCache()
        self._inbox: dict[date, Key] = {}
        self._service: tuple[KeyName, bytes] | None = None
        self._derived: dict[str, bytes] = {}

    @property
    def places(self) -> list[ObjectStore]:
        """The ring and its mirror, for asking the stores what they do."""
        return list(self._stores)

    # -- starting

    def open(self, now: datetime) -> None:
        """Check that ring, root key and database belong together; make the pinned service key of an empty ring.

        Raises `ConfigurationError` where they do not. Copies to ring and mirror what one has and the other lacks.
        """
        # Look at the ring first, then at the database, once: others may be starting, and they pin the root key first.
        lying = any(name.purpose != "service" for name in self._objects.names())
        ready = self._rows("ready")
        if not any(name.purpose == "service" for name in ready):
            if lying:
                raise ConfigurationError("the key ring is in use by another database")
            if ready:
                raise ConfigurationError("the database names keys, but none that pins the root key")
            make(self._database, self._objects, [("service", "service")], now)
        name = self._named("service", "service")
        if name is None:
            raise KeyUnavailableError
        try:
            self._service = (name, self._objects.read(name))
        except ObjectNotFoundError as exc:
            if not any(True for _ in self._objects.names()):
                raise KeyRingMissingError from exc
            raise ConfigurationError("not the root key of this key ring") from exc
        if len(self._stores) > 1:
            self._objects.mend([*self._rows("ready"), *self._notes()])

    def ensure(self, now: datetime) -> int:
        """Make every key that the coming days need, and load the inbox keys; returns how many keys were made."""
        today = utc_day(now)
        days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
        inbox_days = [today + timedelta(days=ahead) for ahead in range(-1, INBOX_DAYS_AHEAD + 1)]
        wanted = [("day", _text(day)) for day in days] + [("inbox", _text(day)) for day in inbox_days]
        with self._making:
            made = make(self._database, self._objects, wanted, now, pinned_by=self._pin()[0])
            self._inbox = {day: self._held_inbox_key(day, now) for day in inbox_days}
        return made

    def service_key(self, label: str) -> bytes:
        """A lasting key for one use ("refs", "dedupe", …). It outlives a change of the root key."""
        key = self._derived.get(label)
        if key is None:
            key = self._derived[label] = derive(self._pin()[1], f"recorder/service/{label}/v1")
        return key

    # -- using

    def day_key(self, day: date, now: datetime) -> Key:
        """The key for what expires on `day`. Raises `KeyDestroyedError` once the day is over or being closed."""
        name = self._named("day", _text(day))
        if name is None:
            gone = day < utc_day(now)
            raise KeyDestroyedError("no new use of a past day's key") if gone else KeyUnavailableError
        return self._cached(name, now)

    def inbox_key(self, now: datetime) -> Key:
        """Today's inbox key: in memory, unless `ensure` has not run for a week."""
        key = self._inbox.get(utc_day(now))
        if key is None:
            self.ensure(now)
            key = self._inbox[utc_day(now)]
        return key

    def key(self, key_id: str, now: datetime) -> Key:
        """A key by its id. Raises `KeyDestroyedError` when it is gone for good, `KeyUnavailableError` to try again."""
        for key in self._inbox.values():
            if key.id == key_id:
                return key
        cached = self._cache.get(key_id, now)
        if cached is not None:
            return cached
        with self._database.read() as connection:
            row = connection.execute(select(keys.c.state, keys.c.day).where(keys.c.id == key_id)).one_or_none()
        if row is not None and row.state == "destroyed":
            raise KeyDestroyedError
        if row is None or row.state == "claimed":
            raise KeyUnavailableError("there is no such key in the ring")
        return self._cached(KeyName(key_id, row.day), now)

    def search_keys(self, now: datetime) -> list[Key]:
        """Every day key under which something may be indexed, for computing a search's marks."""
        found = []
        for name in self._rows("ready", "closing"):
            if name.purpose == "day":
                with suppress(KeyDestroyedError):
                    found.append(self._cached(name, now))
        return found

    def prune(self, now: datetime) -> None:
        """Drop keys that were read long enough ago, whether or not anybody asks again."""
        self._cache.prune(now)

    # -- ending

    def close_day(self, connection: Connection, day: date) -> None:
        """Forbid new uses of a day's key, from this transaction's commit on."""
        the_key = (keys.c.purpose == "day") & (keys.c.day == _text(day)) & (keys.c.state == "ready")
        connection.execute(update(keys).where(the_key).values(state="closing"))

    def require_open(self, connection: Connection, key_id: str) -> None:
        """Raise `KeyDestroyedError` unless the key still takes new uses; the row stays locked until the commit."""
        if connection.execute(_STATE, {"key": key_id}).scalar_one_or_none() != "ready":
            raise KeyDestroyedError

    def due_for_destruction(self, now: datetime) -> list[KeyName]:
        """Keys whose time is over: those with a row, and those that ring or mirror have without one, if they answer."""
        self._cache.prune(now)
        today = utc_day(now)
        names = set(self._rows("claimed", "ready", "closing"))
        with suppress(StoreUnavailableError):  # what has a row goes, whether or not the stores can be listed
            names |= {name for name in self._objects.names() if name.purpose in PURPOSES}
        return sorted((name for name in names if _is_over(name, today)), key=lambda name: (name.folder, name.id))

    def destroy(self, key_id: str, now: datetime, note: Callable[[Connection], None] | None = None) -> None:
        """Remove a key from ring and mirror, for good; `note` is called in the transaction that marks it destroyed.

        Idempotent. Where a store fails this raises, and the key stays `closing`.
        """
        with self._database.write() as connection:
            connection.execute(
                update(keys).where(keys.c.id == key_id, keys.c.state != "destroyed").values(state="closing")
            )
            folder = connection.execute(select(keys.c.day).where(keys.c.id == key_id)).scalar_one_or_none()
        self._cache.drop(key_id)
        names = [KeyName(key_id, folder)] if folder else [n for n in self._objects.names() if n.id == key_id]
        for name in names:
            self._objects.remove(name)
        with self._database.write() as connection:
            closing = update(keys).where(keys.c.id == key_id, keys.c.state == "closing")
            ended = connection.execute(closing.values(state="destroyed", destroyed_at=now))
            if note and (ended.rowcount or folder is None):  # if two destroy the same key, only one notes it
                note(connection)

    def rotate_root(self, new_root: bytes, saved: Callable[[], None]) -> None:
        """Seal every key under a new root key, call `saved` so that the caller keeps it, then drop the old objects.

        May be repeated after a failure, with either root. Other running processes hold the old root: they stop
        making and finding keys (`KeyUnavailableError`) until they are started with the new one.
        """
        old, new = self._objects, KeyObjects(RootKey(new_root), self._stores)
        with self._making:
            old.reseal(new)
            saved()
            old.forget(self._pin()[0])  # from here on no process finishes a key under the old root
            old.reseal(new)
            new.keep_only_own()
            self._objects = new

    # -- notes

    def note(self, name: KeyName, content: bytes) -> None:
        """Keep a few sealed bytes beside the keys of a day, until that day is over; the first note of a name stays.

        For what must not be forgotten when the database is restored from a backup: the ring never is. Raises
        `KeyUnavailableError` where another process has changed the root key: nobody could read the note.
        """
        self._objects.note(name, content)
        self._objects.require(self._pin()[0])

    def notes(self, purpose: str) -> list[KeyName]:
        """The notes whose ids begin with `purpose`. Raises where ring and mirror cannot both be listed."""
        return sorted((name for name in self._notes() if name.purpose == purpose), key=lambda name: name.id)

    def read_note(self, name: KeyName) -> bytes:
        return self._objects.read(name)

    def forget_notes(self, purpose: str, now: datetime) -> None:
        """Remove the notes of days that are over."""
        for name in self.notes(purpose):
            if _is_over(name, utc_day(now)):
                self._objects.remove(name)

    # -- looking

    def _pin(self) -> tuple[KeyName, bytes]:
        if self._service is None:
            raise KeyUnavailableError("the key ring is not open")
        return self._service

    def _notes(self) -> Iterator[KeyName]:
        return (name for name in self._objects.names() if name.purpose not in PURPOSES)

    def _rows(self, *states: str) -> list[KeyName]:
        with self._database.read() as connection:
            return rows_in(connection, *states)

    def _named(self, purpose: str, folder: str) -> KeyName | None:
        with self._database.read() as connection:
            key_id = connection.execute(_READY, {"purpose": purpose, "folder": folder}).scalar_one_or_none()
        return None if key_id is None else KeyName(key_id, folder)

    def _held_inbox_key(self, day: date, now: datetime) -> Key:
        name = self._named("inbox", _text(day))
        if name is None:
            raise KeyUnavailableError
        return self._inbox.get(day) or self._read(name, now)

    def _cached(self, name: KeyName, now: datetime) -> Key:
        key = self._cache.get(name.id, now)
        if key is None:
            key = self._read(name, now)
            self._cache.put(key, now)
        return key

    def _read(self, name: KeyName, now: datetime) -> Key:
        try:
            material = self._objects.read(name)
        except ObjectNotFoundError as exc:
            if _is_over(name, utc_day(now)):
                raise KeyDestroyedError from exc
            raise KeyUnavailableError("the key ring lacks a key that is not due to go") from exc
        return Key(name.id, name.purpose, date.fromisoformat(name.folder), material)


def _text(day: date) -> str:
    return f"{day:%Y%m%d}"


def _is_over(name: KeyName, today: date) -> bool:
    if name.purpose == "service":
        return False
    kept = timedelta(days=INBOX_DAYS if name.purpose == "inbox" else 0)
    return date.fromisoformat(name.folder) + kept < today
