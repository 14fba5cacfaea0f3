"""P3: a key is destroyed when its day is over and not before, then gone from ring, database and memory; what is lost or
unknown is not taken for destroyed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from storage.columns import unwrap, wrap
from storage.database import Database
from storage.errors import KeyDestroyedError, KeyUnavailableError, StoreUnavailableError
from storage.keymaking import keys
from storage.keyobjects import KeyName, RootKey
from storage.keyring import INBOX_DAYS, KeyRing
from storage.objects_folder import FolderStore
from tests.storage.keyring.rings import ALL, EXPIRY, NOW, ROOT, another, objects, states


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

    told: list[str] = []
    for _ in range(2):
        keyring.destroy(key.id, tomorrow, lambda _: told.append(key.id))

    assert told == [key.id]
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
    told: list[str] = []
    keyring.note(KeyName("rec_abc", "20260903"), b"erased")

    for name in keyring.due_for_destruction(tomorrow):
        keyring.destroy(name.id, tomorrow, lambda _, gone=name.id: told.append(gone))  # type: ignore[misc]  # a default

    assert told == [key.id]
    assert len(objects(ring)) == ALL + 1  # every other key, and the note


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


def test_a_day_whose_key_is_still_to_be_made_is_over_only_at_its_end(database: Database, ring: FolderStore) -> None:
    keyring = another(database, ring)  # which makes no day keys yet

    with pytest.raises(KeyUnavailableError):
        keyring.day_key(NOW.date(), NOW)
    with pytest.raises(KeyDestroyedError):
        keyring.day_key(NOW.date(), NOW + timedelta(days=1))


def test_a_lost_key_that_is_not_due_is_no_destroyed_one(ring: FolderStore, keyring: KeyRing) -> None:
    name = keyring._named("day", "20261202")
    assert name is not None
    keyring._objects.remove(name)

    with pytest.raises(KeyUnavailableError):
        keyring.day_key(EXPIRY, NOW)


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
