"""Work is claimed: two who look for it at the same moment find different things, and who comes back late finds nothing.

On PostgreSQL nobody waits for another's claim either; on SQLite one writes at a time anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from storage.catalogue import calls, erasing, inquiries, outbox, recordings, source_deletions
from storage.catalogue.calls import Call
from storage.catalogue.inquiries import Inquiry
from storage.catalogue.recordings import Recording
from storage.catalogue.source_deletions import SourceDeletion
from storage.database import Database
from storage.errors import DatabaseBusyError

NOW = datetime(2026, 9, 3, 8, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)
LATER = NOW + LEASE


Claim = Callable[[Connection, datetime], str | None]


def source(connection: Connection, now: datetime) -> str | None:
    found = source_deletions.claim(connection, now, now + LEASE)
    return found.id if found else None


def message(connection: Connection, now: datetime) -> str | None:
    found = outbox.claim(connection, now, now + LEASE, ["mail"])
    return found.subject_id if found else None


def erasure(connection: Connection, now: datetime) -> str | None:
    return next(iter(erasing.take_unfinished(connection, now, now + LEASE, 1)), None)


def inquiry(connection: Connection, now: datetime) -> str | None:
    found = inquiries.claim(connection, now, now + LEASE)
    return found.call_ref.decode() if found else None


CLAIMS = [source, message, erasure, inquiry]


@pytest.fixture
def work(database: Database) -> Database:
    """Two of everything, due one after the other."""
    with database.write() as connection:
        calls.insert(connection, Call("call_1", "standard", NOW, ref=b"call"))
        for number in (1, 2):
            due = NOW - timedelta(seconds=10 - number)
            name = f"x_{number}"
            source_deletions.add(connection, SourceDeletion(name, name.encode(), "standard", "kept", due, due))
            outbox.add(connection, "mail", "access", name, due)
            inquiries.add(connection, Inquiry(name.encode(), "twilio", due, "key", b""))
            erased = Recording(name, "call_1", "standard", ref=name.encode(), state="erasing", next_try_at=due)
            recordings.insert(connection, erased)
    return database


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_is_claimed_once_and_again_when_its_time_is_over(work: Database, claim: Claim) -> None:
    found = []
    for now in (NOW, NOW, NOW, LATER, LATER, LATER):
        with work.write() as connection:
            found.append(claim(connection, now))

    assert found[:3] == ["x_1", "x_2", None]
    assert set(found[3:5]) == {"x_1", "x_2"}
    assert found[5] is None


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_nobody_waits_for_another_who_is_claiming(work: Database, claim: Claim) -> None:
    with work.write() as one:
        assert claim(one, NOW) == "x_1"
        with work.write() as other:
            assert claim(other, NOW) == "x_2"


def test_p6_who_comes_back_late_finishes_nothing(work: Database) -> None:
    with work.write() as connection:
        sleeper = source_deletions.claim(connection, NOW, LATER)
        first = outbox.claim(connection, NOW, LATER, ["mail"])
        asking = inquiries.claim(connection, NOW, LATER)
    assert sleeper is not None
    assert first is not None
    assert asking is not None
    with work.write() as connection:
        others = [source_deletions.claim(connection, LATER, LATER + LEASE) for _ in range(2)]
        messages = [outbox.claim(connection, LATER, LATER + LEASE, ["mail"]) for _ in range(2)]
        questions = [inquiries.claim(connection, LATER, LATER + LEASE) for _ in range(2)]
    (third,) = (one for one in questions if one is not None and one.call_ref == asking.call_ref)
    (awake,) = (one for one in others if one is not None and one.id == sleeper.id)
    (second,) = (one for one in messages if one is not None and one.id == first.id)
    with work.write() as connection:
        assert not source_deletions.change(connection, sleeper, state="done")
        assert not outbox.finish(connection, first, "sent", LATER)
        inquiries.put_off(connection, asking, NOW)
        assert not inquiries.count(connection, asking)
        assert not inquiries.done(connection, asking)
        assert source_deletions.change(connection, awake, state="done")
        assert inquiries.count(connection, third)
        assert inquiries.done(connection, third)
        assert outbox.finish(connection, second, "sent", LATER)


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("ref", [b"call", b"nobody has seen it"])
def test_a_call_another_is_at_is_left_to_it(work: Database, ref: bytes) -> None:
    """Also one that is not there yet: two who both find nothing would both open it."""
    known = ref == b"call"
    with work.write() as one:
        assert (calls.lock_by_ref(one, ref, wait=False) is not None) is known
        with pytest.raises(DatabaseBusyError), work.write() as other:
            calls.lock_by_ref(other, ref, wait=False)
        with pytest.raises(DatabaseBusyError) if known else nullcontext(), work.write() as other:
            calls.lock(other, "call_1", wait=False)
    with work.write() as other:
        assert (calls.lock_by_ref(other, ref, wait=False) is not None) is known


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_call_blanked_while_somebody_waits_for_it_is_not_there_any_more(work: Database) -> None:
    def waited() -> object:
        with work.write() as other:
            return calls.lock_by_ref(other, b"call")

    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with work.write() as one:
            calls.lock(one, "call_1")
            found = pool.submit(waited)
            while not one.execute(waiting).scalar_one():
                pass
            calls.change(one, "call_1", ref=None, state="blank")
        assert found.result() is None
