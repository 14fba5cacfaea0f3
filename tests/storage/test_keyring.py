"""Keys: made once, whoever dies or races on the way; used until their day is over; then gone, from everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from storage import keymaking
from storage.clock import new_id
from storage.columns import unwrap, wrap
from storage.database import Database
from storage.errors import (
    ConfigurationError,
    KeyDestroyedError,
    KeyRingMissingError,
    KeyUnavailableError,
    StoreUnavailableError,
)
from storage.keymaking import keys
from storage.keyobjects import KeyName, KeyObjects, RootKey
from storage.keyring import DAYS_AHEAD, INBOX_DAYS, KeyRing, load_root_key
from storage.objects_folder import FolderStore
from storage.objects_folder.uploading import FolderUpload
from storage.rootkey import save_root_key

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
ROOT = bytes(range(32))
ALL = DAYS_AHEAD + 1 + 9  # day keys today … +97, inbox keys -1 … +7
EXPIRY = date(2026, 12, 2)
NOTE = KeyName("rec_abc", "20261202")


@pytest.fixture
def ring(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "keys")


@pytest.fixture
def keyring(database: Database, ring: FolderStore) -> KeyRing:
    keyring = KeyRing(database, ring, ROOT)
    keyring.open(NOW)
    keyring.ensure(NOW)
    return keyring


def another(database: Database, ring: FolderStore, mirror: FolderStore | None = None, root: bytes = ROOT) -> KeyRing:
    """The ring as another process sees it."""
    keyring = KeyRing(database, ring, root, mirror)
    keyring.open(NOW)
    return keyring


def states(database: Database) -> dict[str, int]:
    with database.read() as connection:
        counted = connection.execute(select(keys.c.state, func.count()).group_by(keys.c.state))
        return {state: count for state, count in counted}  # noqa: C416 -- a Row is no pair to `dict`


def objects(ring: FolderStore) -> set[str]:
    return {key.partition(".")[0] for key in ring.keys("")}


def rows(database: Database) -> set[str]:
    with database.read() as connection:
        return {f"{row.day}/{row.id}" for row in connection.execute(select(keys.c.id, keys.c.day))}


# -- making


def test_all_keys_of_the_coming_days_are_made_once(database: Database, ring: FolderStore) -> None:
    keyring = KeyRing(database, ring, ROOT)
    keyring.open(NOW)

    assert keyring.ensure(NOW) == ALL
    assert keyring.ensure(NOW) == 0
    assert states(database) == {"ready": ALL + 1}
    assert objects(ring) == rows(database)


def test_a_day_later_one_of_each_is_missing(keyring: KeyRing) -> None:
    assert keyring.ensure(NOW + timedelta(days=1)) == 2


def test_a_key_is_the_same_for_every_process(database: Database, ring: FolderStore, keyring: KeyRing) -> None:
    key, other = keyring.day_key(EXPIRY, NOW), another(database, ring).day_key(EXPIRY, NOW)

    assert (key.id, key.material, key.day) == (other.id, other.material, EXPIRY)
    assert keyring.key(key.id, NOW).material == key.material


def test_keys_differ(keyring: KeyRing) -> None:
    materials = [key.material for key in keyring.search_keys(NOW)] + [keyring.inbox_key(NOW).material]

    assert len(materials) == len(set(materials)) == DAYS_AHEAD + 2


def test_p2_a_key_object_holds_no_key_in_clear(ring: FolderStore, keyring: KeyRing) -> None:
    key = keyring.day_key(EXPIRY, NOW)

    for name in ring.keys(""):
        assert key.material not in b"".join(ring.read(name))


def test_p2_a_key_object_under_another_name_does_not_open(ring: FolderStore, keyring: KeyRing) -> None:
    wanted, other = keyring.search_keys(NOW)[:2]
    keyring._cache.drop(wanted.id)
    paths = {key.id: next(ring.path.glob(f"*/{key.id}.*")) for key in (wanted, other)}
    paths[wanted.id].write_bytes(paths[other.id].read_bytes())

    with pytest.raises(KeyUnavailableError):
        keyring.key(wanted.id, NOW)


def test_p6_accepting_never_asks_the_ring(ring: FolderStore, keyring: KeyRing) -> None:
    shutil.rmtree(ring.path)

    for days in range(8):
        assert keyring.inbox_key(NOW + timedelta(days=days)).day == (NOW + timedelta(days=days)).date()


def test_the_inbox_key_is_made_where_nobody_did(database: Database, keyring: KeyRing) -> None:
    later = NOW + timedelta(days=91)

    assert keyring.inbox_key(later).day == later.date()
    assert keyring.day_key(later.date() + timedelta(days=90), later).day == later.date() + timedelta(days=90)


# -- dying and racing while making


@pytest.mark.parametrize("point", ["claimed", "half", "written"])
def test_p6_a_crash_between_claim_and_ready_costs_nothing(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class CrashError(BaseException):
        pass

    def crash(*_args: object) -> None:
        raise CrashError

    keyring = another(database, ring)
    commit = FolderUpload.commit
    broken: dict[str, tuple[type, str, Callable[..., object]]] = {
        "claimed": (FolderStore, "create", crash),
        "half": (FolderUpload, "commit", crash),
        "written": (FolderUpload, "commit", lambda upload: (commit(upload), crash())),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*broken[point])
        with pytest.raises(CrashError):
            keyring.ensure(NOW)
    assert states(database)["claimed"] == ALL

    again = another(database, ring)
    assert again.ensure(NOW) == ALL
    assert states(database) == {"ready": ALL + 1}
    assert again.day_key(EXPIRY, NOW).material == another(database, ring).day_key(EXPIRY, NOW).material


def test_p6_a_crash_while_pinning_the_root_costs_nothing(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", _raise(OSError(5, "Input/output error")))
        with pytest.raises(StoreUnavailableError):
            another(database, ring)

    assert another(database, ring).ensure(NOW) == ALL


def _raise(error: OSError) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail


def test_p6_a_key_that_its_maker_removes_while_another_looks_is_made_again(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker was slow, its claim was taken over, and it tidies up."""
    objects, wanted = KeyObjects(RootKey(ROOT), [ring]), [("day", "20261201")]
    (maker,) = keymaking._claim(database, wanted, NOW)
    objects.create(KeyName(maker, "20261201"))
    written = objects.written

    def seen(name: KeyName) -> bool:
        there = written(name)
        if there and name.id == maker:
            objects.remove(name)
        return there

    monkeypatch.setattr(objects, "written", seen)

    assert keymaking.make(database, objects, wanted, NOW) == 1
    with database.read() as connection:
        (name,) = keymaking.rows_in(connection, "ready")
    assert objects.read(name)


def test_p6_a_key_that_another_removes_while_its_maker_looks_is_made_again(
    database: Database, ring: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim was taken over while it wrote, and somebody who found the object saw that no row names it."""
    objects, wanted = KeyObjects(RootKey(ROOT), [ring]), [("day", "20261201")]
    read = ring.read

    def too_late(key: str) -> Iterator[bytes]:
        monkeypatch.setattr(ring, "read", read)
        name = KeyName(key.partition("/")[2].partition(".")[0], "20261201")
        with database.write() as connection:
            connection.execute(update(keys).where(keys.c.id == name.id).values(id=new_id("day")))
        objects.remove(name)
        return read(key)

    monkeypatch.setattr(ring, "read", too_late)

    assert keymaking.make(database, objects, wanted, NOW) == 1
    with database.read() as connection:
        (name,) = keymaking.rows_in(connection, "ready")
    assert objects.read(name)
    assert list(objects.names()) == [name]


def test_many_threads_make_one_key_for_each_day(database: Database, ring: FolderStore) -> None:
    rings = [KeyRing(database, ring, ROOT) for _ in range(6)]  # six processes would each have one
    start = threading.Barrier(len(rings))
    made: list[int] = []
    failed: list[BaseException] = []

    def run(keyring: KeyRing) -> None:
        try:
            start.wait(10)
            keyring.open(NOW)
            made.append(keyring.ensure(NOW))
        except BaseException as exc:  # noqa: BLE001 -- shown by the assertion below
            failed.append(exc)

    threads = [threading.Thread(target=run, args=[keyring]) for keyring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    assert sum(made) == ALL
    assert states(database) == {"ready": ALL + 1}
    assert rows(database) <= objects(ring)
    for day in (NOW.date(), EXPIRY):
        assert len({keyring.day_key(day, NOW).material for keyring in rings}) == 1
    assert len({keyring.inbox_key(NOW).material for keyring in rings}) == 1
    assert len({keyring.service_key("refs") for keyring in rings}) == 1


PROCESS = """
import sys
from datetime import UTC, datetime
from storage.database import Database
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
url, path = sys.argv[1:]
database = Database(url)
keyring = KeyRing(database, FolderStore(path), bytes(range(32)))
now = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
keyring.open(now)
keyring.ensure(now)
print(keyring.day_key(now.date(), now).material.hex(), keyring.inbox_key(now).material.hex())
database.close()
"""


def test_many_processes_make_one_key_for_each_day(database: Database, ring: FolderStore) -> None:
    command = [sys.executable, "-c", PROCESS, database.url, str(ring.path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) for _ in range(4)]
    said = {process.communicate(timeout=60)[0] for process in started}

    assert [process.returncode for process in started] == [0] * 4
    assert len(said) == 1
    assert states(database) == {"ready": ALL + 1}


# -- belonging together


def test_another_root_key_does_not_start(database: Database, ring: FolderStore, keyring: KeyRing) -> None:
    with pytest.raises(ConfigurationError, match="root key"):
        another(database, ring, root=bytes(32))


def test_an_empty_ring_does_not_start_with_a_database_that_names_keys(
    database: Database, tmp_path: Path, keyring: KeyRing
) -> None:
    with pytest.raises(KeyRingMissingError):
        another(database, FolderStore(tmp_path / "unmounted"))


def test_a_ring_in_use_does_not_start_with_an_empty_database(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    with database.write() as connection:
        connection.execute(keys.delete())

    with pytest.raises(ConfigurationError, match="another database"):
        another(database, ring)


def test_nothing_is_made_before_the_ring_is_open(database: Database, ring: FolderStore) -> None:
    keyring = KeyRing(database, ring, ROOT)

    with pytest.raises(KeyUnavailableError):
        keyring.ensure(NOW)
    with pytest.raises(KeyUnavailableError):
        keyring.service_key("refs")


def test_a_root_key_is_generated_for_an_empty_ring_only(tmp_path: Path, database: Database, ring: FolderStore) -> None:
    path = tmp_path / "root.key"
    root = load_root_key(path, None, ring)

    assert load_root_key(path, None, ring) == root
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_root_key(path, ROOT, ring) == ROOT
    another(database, ring, root=root)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"root\.key is missing"):
        load_root_key(path, None, ring)


@pytest.mark.parametrize("content", [b"", b"not base64!", b"AAAA\n"])
def test_a_broken_root_key_file_does_not_start(tmp_path: Path, ring: FolderStore, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError):
        load_root_key(path, None, ring)


# -- ending


def test_p3_a_days_key_is_due_the_day_after_and_not_before(keyring: KeyRing) -> None:
    evening, midnight = datetime(2026, 9, 3, 23, 59, 59, tzinfo=UTC), datetime(2026, 9, 4, tzinfo=UTC)

    assert keyring.due_for_destruction(evening) == []
    assert [(name.purpose, name.folder) for name in keyring.due_for_destruction(midnight)] == [("day", "20260903")]


def test_p3_an_inbox_key_is_due_when_eight_days_have_passed(keyring: KeyRing) -> None:
    last = datetime(2026, 9, 3, 23, 59, tzinfo=UTC) + timedelta(days=INBOX_DAYS)
    due = {name.folder for name in keyring.due_for_destruction(last) if name.purpose == "inbox"}
    after = {name.folder for name in keyring.due_for_destruction(last + timedelta(days=1)) if name.purpose == "inbox"}

    assert due == {"20260902"}
    assert after == {"20260902", "20260903"}


def test_p3_a_destroyed_key_is_gone_from_everywhere_for_everyone(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    key = keyring.day_key(NOW.date(), NOW)
    wrapped = wrap(key, b"secret", table="t", column="c", row_id="r")
    tomorrow = NOW + timedelta(days=1)

    keyring.destroy(key.id, tomorrow)
    keyring.destroy(key.id, tomorrow)

    assert not list(ring.path.glob(f"*/*{key.id}*"))
    for one in (keyring, another(database, ring)):
        with pytest.raises(KeyDestroyedError):
            one.key(key.id, tomorrow)
        with pytest.raises(KeyDestroyedError):
            one.day_key(key.day, tomorrow)
        assert key.id not in {found.id for found in one.search_keys(tomorrow)}
        assert one.due_for_destruction(tomorrow) == []
    assert unwrap(key, wrapped, table="t", column="c", row_id="r") == b"secret"  # only the one still in our hands


def test_p3_a_backup_of_the_database_finds_no_key_in_todays_ring(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    key = keyring.day_key(NOW.date(), NOW)
    tomorrow = NOW + timedelta(days=1)
    keyring.destroy(key.id, tomorrow)
    with database.write() as connection:  # the row as yesterday's backup has it
        connection.execute(update(keys).where(keys.c.id == key.id).values(state="ready", destroyed_at=None))

    restored = another(database, ring)
    with pytest.raises(KeyDestroyedError):
        restored.key(key.id, tomorrow)
    assert key.id not in {found.id for found in restored.search_keys(tomorrow)}


def test_p3_a_key_object_without_a_row_is_destroyed_with_its_day(
    ring: FolderStore, database: Database, keyring: KeyRing
) -> None:
    key = keyring.day_key(NOW.date(), NOW)
    with database.write() as connection:
        connection.execute(keys.delete().where(keys.c.id == key.id))
    tomorrow = NOW + timedelta(days=1)

    for name in keyring.due_for_destruction(tomorrow):
        keyring.destroy(name.id, tomorrow)

    assert not list(ring.path.glob(f"*/*{key.id}*"))


@pytest.mark.parametrize("folder", ["20269999", "00000000", "service"])
def test_p3_what_is_none_of_ours_in_the_ring_holds_up_no_destruction(
    ring: FolderStore, keyring: KeyRing, folder: str
) -> None:
    astray = ring.path / folder / f"day_{'a' * 26}.{RootKey(ROOT).id}"
    astray.parent.mkdir(exist_ok=True)
    astray.write_bytes(b"none of ours")

    due = keyring.due_for_destruction(NOW + timedelta(days=1))

    assert [(name.purpose, name.folder) for name in due] == [("day", "20260903")]
    assert astray.exists()


def test_p3_a_key_is_not_destroyed_while_the_ring_is_away(ring: FolderStore, keyring: KeyRing, tmp_path: Path) -> None:
    key = keyring.day_key(NOW.date(), NOW)
    tomorrow = NOW + timedelta(days=1)
    ring.path.rename(tmp_path / "away")

    with pytest.raises(StoreUnavailableError):
        keyring.destroy(key.id, tomorrow)
    assert key.id in {name.id for name in keyring.due_for_destruction(tomorrow)}
    with pytest.raises(KeyUnavailableError):
        keyring.key(key.id, tomorrow)

    (tmp_path / "away").rename(ring.path)
    keyring.destroy(key.id, tomorrow)
    assert keyring.due_for_destruction(tomorrow) == []


def test_p3_a_closing_key_takes_no_new_uses(database: Database, keyring: KeyRing) -> None:
    key = keyring.day_key(EXPIRY, NOW)
    with database.write() as connection:
        keyring.require_open(connection, key.id)
        keyring.close_day(connection, EXPIRY)
        with pytest.raises(KeyDestroyedError):
            keyring.require_open(connection, key.id)

    with pytest.raises(KeyUnavailableError):
        keyring.day_key(EXPIRY, NOW)
    assert keyring.key(key.id, NOW).material == key.material  # what it wrapped must still be re-wrapped
    keyring.ensure(NOW)
    assert states(database)["closing"] == 1


def test_an_unknown_key_is_no_destroyed_one(keyring: KeyRing) -> None:
    with pytest.raises(KeyUnavailableError):
        keyring.key("day_unknown", NOW)


def test_a_lost_key_that_is_not_due_is_no_destroyed_one(ring: FolderStore, keyring: KeyRing) -> None:
    name = keyring._named("day", "20261202")
    assert name is not None
    keyring._objects.remove(name)

    with pytest.raises(KeyUnavailableError):
        keyring.day_key(EXPIRY, NOW)


# -- memory


def test_p3_a_key_is_read_again_after_minutes_and_never_kept_past_its_day(ring: FolderStore, keyring: KeyRing) -> None:
    evening = datetime(2026, 9, 3, 23, 59, tzinfo=UTC)
    key = keyring.day_key(evening.date(), evening)
    other = keyring.day_key(EXPIRY, evening)
    for name in list(ring.keys("")):
        ring.delete(name)

    assert keyring.key(key.id, evening + timedelta(seconds=59)).material == key.material
    with pytest.raises(KeyDestroyedError):
        keyring.key(key.id, evening + timedelta(seconds=61))
    assert keyring.key(other.id, evening + timedelta(minutes=4)).material == other.material
    for later in (timedelta(minutes=5), timedelta(minutes=-1)):
        with pytest.raises(KeyUnavailableError):
            keyring.key(other.id, evening + later)


# -- mirror


@pytest.fixture
def mirror(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "mirror")


def test_keys_are_written_to_both_rings_and_destroyed_in_both(
    database: Database, ring: FolderStore, mirror: FolderStore
) -> None:
    keyring = another(database, ring, mirror)
    keyring.ensure(NOW)
    assert objects(ring) == objects(mirror) == rows(database)

    key = keyring.day_key(NOW.date(), NOW)
    keyring.destroy(key.id, NOW)
    assert f"20260903/{key.id}" not in objects(ring) | objects(mirror)


def test_a_lost_ring_is_read_from_the_mirror_and_mended(
    database: Database, ring: FolderStore, mirror: FolderStore, tmp_path: Path
) -> None:
    keyring = another(database, ring, mirror)
    keyring.ensure(NOW)
    key = keyring.day_key(EXPIRY, NOW)

    empty = FolderStore(tmp_path / "new-ring")
    mended = another(database, empty, mirror)
    assert mended.day_key(EXPIRY, NOW).material == key.material
    assert objects(empty) == objects(mirror)


def test_a_mirror_added_later_gets_what_the_ring_has(
    database: Database, ring: FolderStore, mirror: FolderStore, keyring: KeyRing
) -> None:
    another(database, ring, mirror)

    assert objects(mirror) == objects(ring)


def test_p3_a_mirror_added_later_knows_what_was_erased(
    database: Database, ring: FolderStore, mirror: FolderStore, keyring: KeyRing
) -> None:
    keyring.note(NOTE, b"erased")
    another(database, ring, mirror)

    assert another(database, mirror).read_note(NOTE) == b"erased"


@pytest.mark.parametrize("act", ["start", "note"])
def test_p6_of_two_processes_that_write_the_same_at_once_none_fails(
    database: Database,
    ring: FolderStore,
    mirror: FolderStore,
    keyring: KeyRing,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
) -> None:
    acts = {"start": lambda: another(database, ring, mirror), "note": lambda: keyring.note(NOTE, b"erased")}
    commit, overtaken = FolderUpload.commit, threading.Event()

    def overtake(upload: FolderUpload) -> int:
        if not overtaken.is_set():
            overtaken.set()
            acts[act]()
        return commit(upload)

    monkeypatch.setattr(FolderUpload, "commit", overtake)
    acts[act]()

    assert overtaken.is_set()
    another(database, ring, mirror)
    assert objects(mirror) == objects(ring)


def test_a_key_is_not_ready_while_the_mirror_is_away(
    database: Database, ring: FolderStore, mirror: FolderStore, tmp_path: Path
) -> None:
    keyring = another(database, ring, mirror)
    mirror.path.rename(tmp_path / "away")

    with pytest.raises(StoreUnavailableError):
        keyring.ensure(NOW)
    assert "ready" not in states(database) or states(database)["ready"] == 1

    (tmp_path / "away").rename(mirror.path)
    assert keyring.ensure(NOW) == ALL
    assert rows(database) <= objects(mirror)


# -- root key rotation


NEW_ROOT = bytes([7]) * 32


def test_rotating_the_root_keeps_every_key_and_retires_the_old_root(
    database: Database, ring: FolderStore, keyring: KeyRing, tmp_path: Path
) -> None:
    day, refs = keyring.day_key(EXPIRY, NOW), keyring.service_key("refs")
    path = tmp_path / "root.key"

    keyring.rotate_root(NEW_ROOT, lambda: save_root_key(path, NEW_ROOT))

    assert load_root_key(path, None, ring) == NEW_ROOT
    fresh = another(database, ring, root=NEW_ROOT)
    assert fresh.day_key(EXPIRY, NOW).material == day.material
    assert fresh.service_key("refs") == keyring.service_key("refs") == refs
    assert fresh.ensure(NOW + timedelta(days=1)) == 2
    with pytest.raises(ConfigurationError, match="root key"):
        another(database, ring)
    assert len(list(ring.keys(""))) == ALL + 3


@pytest.mark.parametrize("root", [ROOT, NEW_ROOT])
def test_a_rotation_that_died_leaves_both_roots_opening_and_can_be_repeated(
    database: Database, ring: FolderStore, keyring: KeyRing, root: bytes
) -> None:
    day = keyring.day_key(EXPIRY, NOW)
    with pytest.raises(InterruptedError):
        keyring.rotate_root(NEW_ROOT, _raise(InterruptedError()))

    survivor = another(database, ring, root=root)
    assert survivor.day_key(EXPIRY, NOW).material == day.material
    survivor.rotate_root(bytes([9]) * 32, lambda: None)
    assert another(database, ring, root=bytes([9]) * 32).day_key(EXPIRY, NOW).material == day.material
    assert len(list(ring.keys(""))) == ALL + 1


def test_a_process_with_the_old_root_makes_no_more_keys(
    database: Database, ring: FolderStore, keyring: KeyRing
) -> None:
    running = another(database, ring)
    keyring.rotate_root(NEW_ROOT, lambda: None)

    with pytest.raises(KeyUnavailableError):
        running.ensure(NOW + timedelta(days=1))
    assert keyring.ensure(NOW + timedelta(days=1)) == 2
    with pytest.raises(KeyUnavailableError):  # or a restored backup, which the note is for, does not start
        running.note(NOTE, b"erased")


def test_service_keys_differ_by_use(keyring: KeyRing) -> None:
    assert len({keyring.service_key(label) for label in ("refs", "dedupe", "sessions")}) == 3
