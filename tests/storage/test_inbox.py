import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from sqlalchemy import event, text

from storage.database import Database
from storage.errors import (
    DatabaseFullError,
    InboxFullError,
    IntegrityError,
    KeyDestroyedError,
    KeyUnavailableError,
    StorageError,
)
from storage.inbox import MAX_BATCH, MAX_QUEUED, MAX_QUEUED_BYTES, Inbox, InboxItem, dedupe_mark, ref
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore
from tests import rows

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
BODY = b'{"from":"+4520123456"}'


@pytest.fixture
def keyring(database: Database, tmp_path: Path) -> KeyRing:
    ring = KeyRing(database, FolderStore(tmp_path / "keys"), bytes(32))
    ring.open(NOW)
    ring.ensure(NOW)
    return ring


@pytest.fixture
def inbox(database: Database, keyring: KeyRing) -> Iterator[Inbox]:
    opened = Inbox(database, keyring)
    opened.start()
    yield opened
    opened.close()


def put(inbox: Inbox, key: bytes, call: bytes = b"call", body: bytes = BODY, at: datetime = NOW) -> Future[bool]:
    return inbox.submit("standard", call, key, body, at)


def stored(database: Database) -> int:
    with database.read() as connection:
        count: int = connection.execute(text("SELECT count(*) FROM inbox")).scalar_one()
        return count


@contextmanager
def paused(database: Database) -> Iterator[None]:
    """Keep every transaction of other writers waiting, so that what is submitted meanwhile becomes one batch."""
    with database.write() as connection:
        connection.execute(text("UPDATE audit_head SET size = size"))
        if not database.sqlite:
            connection.execute(text("LOCK TABLE inbox IN EXCLUSIVE MODE"))
        yield


def test_p6_an_answer_means_that_the_event_is_committed(database: Database, inbox: Inbox) -> None:
    assert put(inbox, b"a").result(10) is True

    assert stored(database) == 1


def test_an_event_comes_back_as_it_went_in(database: Database, inbox: Inbox) -> None:
    put(inbox, b"a", body=b"\x00\xff" * 1000).result(10)

    with database.read() as connection:
        (item,) = inbox.pending(connection, b"call")

    assert (item.platform, item.call_ref, item.received_at, item.tries) == ("standard", b"call", NOW, 0)
    assert inbox.open_body(item, NOW) == b"\x00\xff" * 1000


def test_p2_a_body_is_sealed_and_bound_to_its_row(database: Database, inbox: Inbox, tmp_path: Path) -> None:
    put(inbox, b"a", body=b"+4520123456 " * 20).result(10)
    put(inbox, b"b").result(10)

    with database.read() as connection:
        first, second = inbox.pending(connection, b"call")
    moved = InboxItem(second.id, "standard", b"call", NOW, 0, first.key_id, first.body)

    assert b"4520123456" not in first.body
    assert not any(b"4520123456" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(IntegrityError):
        inbox.open_body(moved, NOW)


def test_p6_a_duplicate_is_told_and_kept_once(database: Database, inbox: Inbox) -> None:
    assert put(inbox, b"a").result(10) is True
    assert put(inbox, b"a", body=b"other").result(10) is False

    assert stored(database) == 1
    with database.read() as connection:
        assert [inbox.open_body(item, NOW) for item in inbox.pending(connection, b"call")] == [BODY]


def test_p6_duplicates_within_one_batch_are_told(database: Database, inbox: Inbox) -> None:
    put(inbox, b"old").result(10)
    with paused(database):
        futures = [put(inbox, key) for key in (b"lone", b"a", b"b", b"a", b"old", b"b", b"c")]

    assert [future.result(10) for future in futures] == [True, True, True, False, False, False, True]
    assert stored(database) == 5


def test_p6_an_event_sent_by_many_at_once_is_new_for_one(database: Database, inbox: Inbox) -> None:
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(put(inbox, b"same").result(10))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False] * 19 + [True]
    assert stored(database) == 1


def test_a_crowd_beyond_one_batch_is_kept_whole(database: Database, inbox: Inbox) -> None:
    with paused(database):
        futures = [put(inbox, str(number).encode()) for number in range(MAX_BATCH + 7)]

    assert all(future.result(20) for future in futures)
    assert stored(database) == MAX_BATCH + 7


def test_too_many_waiting_are_refused_at_once(database: Database, keyring: KeyRing) -> None:
    unstarted = Inbox(database, keyring)
    for number in range(MAX_QUEUED):
        put(unstarted, str(number).encode(), body=b"")

    with pytest.raises(InboxFullError):
        put(unstarted, b"one more")


def test_too_many_bytes_waiting_are_refused_at_once(database: Database, keyring: KeyRing) -> None:
    unstarted = Inbox(database, keyring)
    megabyte = bytes(2**20)
    for number in range(MAX_QUEUED_BYTES // 2**20):
        put(unstarted, str(number).encode(), body=megabyte)

    with pytest.raises(InboxFullError):
        put(unstarted, b"one more")


def test_room_comes_back_when_events_are_kept(database: Database, inbox: Inbox) -> None:
    megabyte = bytes(2**20)
    for number in range(MAX_QUEUED_BYTES // 2**20 + 2):
        put(inbox, str(number).encode(), body=megabyte).result(20)

    assert stored(database) == MAX_QUEUED_BYTES // 2**20 + 2


def test_p6_closing_keeps_what_was_taken_and_takes_nothing_more(database: Database, keyring: KeyRing) -> None:
    inbox = Inbox(database, keyring)
    inbox.start()
    with paused(database):
        futures = [put(inbox, str(number).encode()) for number in range(2 * MAX_BATCH)]
        closing = threading.Thread(target=inbox.close)
        closing.start()
    closing.join(20)

    assert all(future.done() and future.result() for future in futures)
    assert stored(database) == 2 * MAX_BATCH
    with pytest.raises(InboxFullError):
        put(inbox, b"late")


def test_an_abandoned_event_is_kept_all_the_same(database: Database, inbox: Inbox) -> None:
    with paused(database):
        abandoned = put(inbox, b"a")
        assert not abandoned.cancel()
        other = put(inbox, b"b")

    assert other.result(10) is True
    assert stored(database) == 2


def test_one_event_that_cannot_be_kept_fails_alone(database: Database, inbox: Inbox) -> None:
    with paused(database):
        first = put(inbox, b"a")
        bad = inbox.submit(None, b"call", b"bad", BODY, NOW)  # type: ignore[arg-type]
        last = put(inbox, b"b")

    assert first.result(10) is True
    assert last.result(10) is True
    with pytest.raises(StorageError):
        bad.result(10)
    assert stored(database) == 2


def test_one_event_that_cannot_be_sealed_fails_alone(database: Database, inbox: Inbox) -> None:
    with paused(database):
        first = put(inbox, b"a")
        bad = put(inbox, b"bad", body="no bytes")  # type: ignore[arg-type]
        last = put(inbox, b"b")

    assert first.result(10) is True
    assert last.result(10) is True
    with pytest.raises(StorageError):
        bad.result(10)
    assert stored(database) == 2


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_p6_a_full_disk_refuses_and_breaks_nothing_else(database: Database, inbox: Inbox) -> None:
    put(inbox, b"before").result(10)
    limit(database, pages_more=2)
    with pytest.raises(DatabaseFullError):
        put(inbox, b"big", body=bytes(100_000)).result(10)

    limit(database, pages_more=1000)

    assert put(inbox, b"big", body=bytes(100_000)).result(10) is True
    assert put(inbox, b"before").result(10) is False
    assert stored(database) == 2


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_p6_a_server_whose_disk_is_full_refuses_and_breaks_nothing_else(database: Database, inbox: Inbox) -> None:
    put(inbox, b"before").result(10)
    rows.refuse(database, "INSERT", "inbox", sqlstate="53100")  # disk_full, in the server's own words
    with pytest.raises(DatabaseFullError):
        put(inbox, b"big").result(10)

    rows.allow(database, "inbox")

    assert put(inbox, b"big").result(10) is True
    assert put(inbox, b"before").result(10) is False
    assert stored(database) == 2


def limit(database: Database, *, pages_more: int) -> None:
    """Let the file grow so far only, on every connection of the pool: the same error as a full disk."""

    def configure(connection: object, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count = {pages + pages_more}")  # type: ignore[attr-defined]

    database.engine.dispose()  # connections made from here on have the limit
    event.listen(database.engine, "connect", configure)


def test_events_of_a_call_come_oldest_first(database: Database, inbox: Inbox) -> None:
    for minutes, call, key in ((3, b"x", b"3"), (1, b"y", b"1"), (2, b"x", b"2"), (4, b"z", b"4")):
        put(inbox, key, call, at=NOW + timedelta(minutes=minutes)).result(10)

    with database.read() as connection:
        assert [item.call_ref for item in inbox.oldest(connection, 10)] == [b"y", b"x", b"x", b"z"]
        assert [item.call_ref for item in inbox.oldest(connection, 2)] == [b"y", b"x"]
        times = [item.received_at for item in inbox.pending(connection, b"x")]
    assert times == [NOW + timedelta(minutes=2), NOW + timedelta(minutes=3)]


def test_an_applied_event_loses_its_body_and_stays_known(database: Database, inbox: Inbox) -> None:
    put(inbox, b"a").result(10)
    with database.write() as connection:
        inbox.done(connection, [item.id for item in inbox.pending(connection, b"call")])

    with database.read() as connection:
        assert inbox.oldest(connection, 10) == []
        row = connection.execute(text("SELECT state, body, key_id FROM inbox")).one()
    assert tuple(row) == ("done", None, None)
    assert put(inbox, b"a").result(10) is False


def test_a_failed_event_stands_in_nobodys_way(database: Database, inbox: Inbox) -> None:
    put(inbox, b"a").result(10)
    put(inbox, b"b").result(10)
    with database.write() as connection:
        bad, good = inbox.pending(connection, b"call")
        inbox.failed(connection, bad.id)

    with database.read() as connection:
        assert inbox.pending(connection, b"call") == [good]
        assert connection.execute(text("SELECT tries FROM inbox WHERE state = 'failed'")).scalar_one() == 1


def test_old_events_are_forgotten_a_portion_at_a_time(database: Database, inbox: Inbox) -> None:
    for number in range(5):
        put(inbox, str(number).encode(), at=NOW + timedelta(minutes=number)).result(10)

    with database.write() as connection:
        portions = [inbox.forget_before(connection, NOW + timedelta(minutes=3), limit=2) for _ in range(3)]

    assert portions == [2, 1, 0]
    assert stored(database) == 2


def test_p3_an_event_of_eight_days_ago_opens_for_nobody(database: Database, inbox: Inbox, keyring: KeyRing) -> None:
    put(inbox, b"a").result(10)
    with database.read() as connection:
        (item,) = inbox.pending(connection, b"call")
    later = NOW + timedelta(days=10)
    keyring.ensure(later)

    for name in keyring.due_for_destruction(later):
        keyring.destroy(name.id, later)

    with pytest.raises((KeyDestroyedError, KeyUnavailableError)):
        inbox.open_body(item, later)


def test_refs_and_marks_tell_platforms_and_uses_apart(keyring: KeyRing) -> None:
    marks = {
        make(keyring, platform, value)
        for make in (ref, dedupe_mark)
        for platform in ("twilio", "standard")
        for value in ("1", "2")
    }

    assert len(marks) == 8
    assert all(len(mark) == 32 for mark in marks)
    assert ref(keyring, "twilio", "1") in marks


ACCEPT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from storage.database import Database
from storage.inbox import Inbox
from storage.keyring import KeyRing
from storage.objects_folder import FolderStore

database = Database(sys.argv[1])
keyring = KeyRing(database, FolderStore(Path(sys.argv[2])), bytes(32))
now = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
keyring.open(now)
keyring.ensure(now)
inbox = Inbox(database, keyring)
inbox.start()

def say(key):
    return lambda future: future.result() and print(key, flush=True)

number = 0
while True:
    waiting = []
    for _ in range(20):
        number += 1
        future = inbox.submit("standard", b"call", str(number).encode(), bytes(700), now)
        future.add_done_callback(say(number))
        waiting.append(future)
    waiting[-1].result()
"""


@pytest.mark.slow
@pytest.mark.parametrize("enough", [1, 137, 1009])
def test_p6_what_was_answered_survives_kill_9(url: str, database: Database, keyring: KeyRing, enough: int) -> None:
    folder = keyring._stores[0].path  # type: ignore[attr-defined]
    with subprocess.Popen([sys.executable, "-c", ACCEPT, url, str(folder)], stdout=PIPE, text=True) as server:
        assert server.stdout is not None
        answered = [int(server.stdout.readline()) for _ in range(enough)]
        os.kill(server.pid, signal.SIGKILL)
        answered += [int(line) for line in server.stdout if line.endswith("\n")]

    with database.read() as connection:
        kept = {int(bytes(key)) for key in connection.execute(text("SELECT dedupe FROM inbox")).scalars()}
        whole = connection.execute(text("SELECT count(*) FROM inbox WHERE body IS NOT NULL")).scalar_one()
    assert set(answered) <= kept
    assert len(answered) >= enough
    assert whole == len(kept)
