import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from storage import audit
from storage.audit import Entry, Fault
from storage.database import Database
from tests.storage.processes import at_once

NOW = datetime(2026, 9, 3, 8, 12, 30, 250, tzinfo=UTC)


def write(database: Database, count: int = 1, now: datetime = NOW) -> None:
    with database.write() as connection:
        for number in range(count):
            audit.append(
                connection,
                type="recording.stored",
                actor="system",
                subject=f"rec_{number}",
                body={"n": number},
                now=now,
            )


def tamper(database: Database, statement: str, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(text(statement), values)


def test_p5_entries_are_numbered_without_gaps(database: Database) -> None:
    write(database, 3)
    with database.write() as connection:
        numbers = audit.append_many(
            connection, [Entry("a.done", "system", "x"), Entry("b.done", "system", "y")], now=NOW
        )

    report = audit.verify(database)

    assert numbers == range(4, 6)
    assert (report.size, report.ok, report.faults) == (5, True, ())


def test_p5_an_act_that_fails_leaves_neither_entry_nor_gap(database: Database) -> None:
    write(database)
    with suppress(KeyboardInterrupt), database.write() as connection:
        audit.append(connection, type="lost.act", actor="system", subject="x", body={}, now=NOW)
        raise KeyboardInterrupt
    write(database)

    report = audit.verify(database)

    assert (report.size, report.ok) == (2, True)


def test_an_empty_log_is_sound(database: Database) -> None:
    with database.write() as connection:
        assert audit.append_many(connection, [], now=NOW) == range(0)

    assert audit.verify(database).ok
    assert list(audit.export(database)) == []


def test_a_leaf_is_the_hash_of_the_exported_entry(database: Database) -> None:
    with database.write() as connection:
        audit.append(
            connection, type="x.done", actor="tok_ø", subject='a"b', body={"b": [1, None, True], "a": "ø"}, now=NOW
        )

    (line,) = audit.export(database)

    assert line == (
        '{"entry":{"actor":"tok_ø","at":"2026-09-03T08:12:30.000250Z","body":{"a":"ø","b":[1,null,true]},"seq":1,'
        '"subject":"a\\"b","type":"x.done"},"leaf":"' + json.loads(line)["leaf"] + '"}'
    )
    entry = line.removeprefix('{"entry":').partition(',"leaf":')[0]
    assert hashlib.sha256(b"\x00" + entry.encode()).hexdigest() == json.loads(line)["leaf"]


def test_time_never_runs_backwards_in_the_log(database: Database) -> None:
    write(database, now=NOW)
    write(database, now=NOW - timedelta(hours=1))
    write(database, now=NOW + timedelta(hours=1))

    times = [json.loads(line)["entry"]["at"] for line in audit.export(database)]

    assert times == ["2026-09-03T08:12:30.000250Z", "2026-09-03T08:12:30.000250Z", "2026-09-03T09:12:30.000250Z"]
    with database.read() as connection:
        assert audit.latest(connection) == NOW + timedelta(hours=1)
    assert audit.verify(database).ok


@pytest.mark.parametrize("body", [{"f": 0.5}, {"n": 2**53}, {"x": b""}, {"ø": 1}, {1: 1}, {"deep": [{"at": NOW}]}])
def test_what_json_writers_disagree_on_is_refused(database: Database, body: Any) -> None:
    with pytest.raises((ValueError, TypeError)), database.write() as connection:
        audit.append(connection, type="x.done", actor="system", subject="x", body=body, now=NOW)

    assert audit.verify(database).size == 0


LEAF = audit.leaf(audit.entry_text(6, NOW, "recording.stored", "system", "rec_5", '{"n":5}'))
INSERT = (
    "INSERT INTO audit (seq, at, type, actor, subject, body, leaf) "
    "SELECT :seq, at, type, actor, subject, body, leaf FROM audit WHERE seq = 3"
)


@pytest.mark.parametrize(
    ("statement", "values", "faults"),
    [
        ("UPDATE audit SET body = :body WHERE seq = 2", {"body": '{"n":9}'}, [Fault(2, "altered")]),
        ("UPDATE audit SET body = :body WHERE seq = 2", {"body": '{"n": 1}'}, [Fault(2, "altered")]),
        ("UPDATE audit SET actor = 'tok_other' WHERE seq = 5", {}, [Fault(5, "altered")]),
        ("UPDATE audit SET subject = 'rec_other' WHERE seq = 1", {}, [Fault(1, "altered")]),
        ("UPDATE audit SET type = 'recording.erased' WHERE seq = 1", {}, [Fault(1, "altered")]),
        ("UPDATE audit SET leaf = :leaf WHERE seq = 2", {"leaf": LEAF}, [Fault(2, "altered")]),
        ("UPDATE audit SET at = at + 1 WHERE seq = 5", {}, [Fault(5, "altered"), Fault(5, "head_time")]),
        ("UPDATE audit SET at = at - 1 WHERE seq = 2", {}, [Fault(2, "altered"), Fault(2, "time_backwards")]),
        ("DELETE FROM audit WHERE seq = 3", {}, [Fault(3, "missing")]),
        ("DELETE FROM audit WHERE seq = 1", {}, [Fault(1, "missing")]),
        ("DELETE FROM audit WHERE seq > 3", {}, [Fault(4, "missing"), Fault(5, "missing")]),
        ("DELETE FROM audit", {}, [Fault(seq, "missing") for seq in range(1, 6)]),
        (INSERT, {"seq": 6}, [Fault(6, "unexpected")]),
        (INSERT, {"seq": 0}, [Fault(0, "unexpected")]),
        ("UPDATE audit SET seq = 7 WHERE seq = 5", {}, [Fault(5, "missing"), Fault(7, "unexpected")]),
        ("UPDATE audit_head SET size = 4", {}, [Fault(5, "unexpected")]),
        ("UPDATE audit_head SET size = 6", {}, [Fault(6, "missing")]),
        ("DELETE FROM audit_head", {}, [Fault(seq, "unexpected") for seq in range(1, 6)]),
    ],
)
def test_p5_tampering_is_named(database: Database, statement: str, values: dict[str, Any], faults: list[Fault]) -> None:
    write(database, 5)
    assert audit.verify(database).ok

    tamper(database, statement, **values)

    report = audit.verify(database)
    assert not report.ok
    assert list(report.faults) == faults


def test_p5_swapped_entries_are_named(database: Database) -> None:
    write(database, 5)

    tamper(database, "UPDATE audit SET seq = -2 WHERE seq = 2")
    tamper(database, "UPDATE audit SET seq = 2 WHERE seq = 4")
    tamper(database, "UPDATE audit SET seq = 4 WHERE seq = -2")

    assert list(audit.verify(database).faults) == [Fault(2, "altered"), Fault(4, "altered")]


def test_p5_a_cut_hidden_by_the_counter_shows_as_time(database: Database) -> None:
    write(database, 4)
    write(database, now=NOW + timedelta(seconds=1))

    tamper(database, "DELETE FROM audit WHERE seq = 5")
    tamper(database, "UPDATE audit_head SET size = 4")

    assert list(audit.verify(database).faults) == [Fault(4, "head_time")]


def test_p5_a_copy_kept_elsewhere_shows_what_a_perfect_forgery_hides(database: Database) -> None:
    write(database, 5)
    copy = list(audit.export(database))
    write(database, 3)
    assert list(audit.export(database))[: len(copy)] == copy

    tamper(database, "DELETE FROM audit WHERE seq > 2")
    tamper(database, "UPDATE audit_head SET size = 2")
    write(database, 6, NOW + timedelta(seconds=1))  # others in their place, as the service itself would write them

    assert audit.verify(database).ok
    assert list(audit.export(database))[: len(copy)] != copy


def test_faults_of_a_counter_gone_mad_are_bounded(database: Database) -> None:
    write(database, 2)

    tamper(database, "UPDATE audit_head SET size = 2000000000")

    assert len(audit.verify(database).faults) == audit.MAX_FAULTS


def test_a_long_log_is_read_in_pages(database: Database) -> None:
    with database.write() as connection:
        audit.append_many(connection, [Entry("x.done", "system", "x")] * (2 * audit.PAGE + 1), now=NOW)
    seen: list[int] = []

    report = audit.verify(database, seen.append)

    assert (report.ok, report.size) == (True, 2 * audit.PAGE + 1)
    assert seen == [audit.PAGE, 2 * audit.PAGE]
    assert [json.loads(line)["entry"]["seq"] for line in audit.export(database)] == list(range(1, 2 * audit.PAGE + 2))


APPEND = """
import sys
from datetime import UTC, datetime
from storage import audit
from storage.database import Database

class Undone(Exception): pass

NOW = datetime(2026, 9, 3, tzinfo=UTC)
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(500):
    try:
        with database.write() as connection:
            audit.append(connection, type="x.done", actor=sys.argv[2], subject="x", body={"n": number}, now=NOW)
            if number % 10 == 9:
                raise Undone
    except Undone:
        pass
database.close()
"""


@pytest.mark.slow
def test_p5_eight_processes_write_one_sequence(url: str) -> None:
    at_once(APPEND, [(url, f"w{n}") for n in range(8)])

    database = Database(url)
    report = audit.verify(database)
    entries = [json.loads(line)["entry"] for line in audit.export(database)]
    database.close()
    assert (report.size, report.ok) == (8 * 450, True)
    for n in range(8):
        own = [entry["body"]["n"] for entry in entries if entry["actor"] == f"w{n}"]
        assert own == [number for number in range(500) if number % 10 != 9]
