"""Recordings are found page by page, by what they carry, and always on an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from storage.catalogue import calls, evidence, recordings
from storage.catalogue.calls import Call, Leg
from storage.catalogue.recordings import Filter, Recording
from storage.database import Database
from storage.tables import metadata

NOON = datetime(2026, 9, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    metadata.create_all(database.engine)
    with database.write() as opened:
        calls.insert(opened, Call(id="call_1", platform="standard", opened_at=NOON, ref=b"c1"))
        yield opened
    database.close()


def a_recording(number: int, **changes: object) -> Recording:
    row = Recording(
        id=f"rec_{number:03}",
        call_id="call_1",
        platform="standard",
        ref=f"r{number}".encode(),
        segment="private_inbound",
        queue="billing",
        state="stored",
        call_started_at=NOON + timedelta(minutes=number // 2),  # two at every moment
    )
    return replace(row, **changes)  # type: ignore[arg-type] -- a test's shorthand


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, object]]]:
    """Every statement sent while the block runs."""
    sent: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    yield sent
    event.remove(connection, "before_cursor_execute", note)


def plans(connection: Connection, sent: list[tuple[str, object]]) -> list[str]:
    return [
        str(row[-1])
        for statement, parameters in sent
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type] -- as sent
    ]


def test_pages_follow_one_another_without_gap_or_repetition(connection: Connection) -> None:
    for number in range(25):
        recordings.insert(connection, a_recording(number))

    seen: list[str] = []
    after = None
    while True:
        page = recordings.search(connection, Filter(state="stored"), limit=7, after=after)
        seen += [one.id for one in page.items]
        if page.next is None:
            break
        after = page.next

    assert seen == [f"rec_{number:03}" for number in reversed(range(25))]


def test_a_page_that_ends_with_the_last_has_no_next(connection: Connection) -> None:
    for number in range(3):
        recordings.insert(connection, a_recording(number))

    assert recordings.search(connection, Filter(), limit=3).next is None


def test_each_filter_leaves_only_its_own(connection: Connection) -> None:
    recordings.insert(connection, a_recording(1))
    recordings.insert(connection, a_recording(2, queue="sales", segment="business_inbound", state="failed"))
    recordings.index_marks(connection, "rec_001", {"phone": b"p1", "agent": b"a1"})
    recordings.index_marks(connection, "rec_002", {"phone": b"p1", "agent": b"a2"})

    def found(**wanted: object) -> list[str]:
        return [one.id for one in recordings.search(connection, Filter(**wanted)).items]  # type: ignore[arg-type] -- as above

    assert found() == ["rec_002", "rec_001"]
    assert found(queue="sales") == found(segment="business_inbound") == found(state="failed") == ["rec_002"]
    assert found(started_from=NOON + timedelta(minutes=1)) == ["rec_002"]
    assert found(started_to=NOON + timedelta(minutes=1)) == ["rec_001"]
    assert found(marked=[[b"other day", b"p1"]]) == ["rec_002", "rec_001"]
    assert found(marked=[[b"p1"], [b"a1"]]) == ["rec_001"]
    assert found(marked=[[]]) == []


def test_a_recording_is_findable_by_its_last_marks_only(connection: Connection) -> None:
    recordings.insert(connection, a_recording(1))
    recordings.index_marks(connection, "rec_001", {"phone": b"before"})
    recordings.index_marks(connection, "rec_001", {"phone": b"after"})

    assert recordings.find_marked(connection, [b"before"]) == []
    assert [one.id for one in recordings.find_marked(connection, [b"after"])] == ["rec_001"]


def test_a_change_is_made_only_from_the_state_it_names(connection: Connection) -> None:
    recordings.insert(connection, a_recording(1, lease="mine"))

    assert not recordings.change(connection, "rec_001", when={"state": "stored", "lease": "other"}, state="erasing")
    assert recordings.change(connection, "rec_001", when={"state": ("failed", "stored")}, state="erasing")
    assert not recordings.change(connection, "rec_001", when={"state": "stored"}, state="failed")
    assert recordings.change(connection, "rec_001", when={"certificate_id": None}, certificate_id="crt_1")


def test_of_two_with_one_ref_the_first_stays(connection: Connection) -> None:
    recordings.insert(connection, a_recording(1))
    recordings.insert(connection, a_recording(2, ref=b"r1"))

    found = recordings.by_ref(connection, b"r1")
    assert found is not None
    assert found.id == "rec_001"


def test_a_call_is_found_by_its_own_id_and_by_those_of_its_legs(connection: Connection) -> None:
    calls.add_leg(connection, Leg("leg_1", "call_1", ref=b"c1-leg"))
    call = calls.by_ref(connection, b"c1-leg")

    assert call == calls.by_ref(connection, b"c1") == calls.get(connection, "call_1")
    assert call is not None
    assert calls.refs(connection, call) == [b"c1", b"c1-leg"]
    assert calls.by_ref(connection, b"c2") is None


def test_a_family_is_whoever_was_put_through(connection: Connection) -> None:
    for number in (2, 3, 4):
        calls.insert(connection, Call(f"call_{number}", "standard", NOON, ref=f"c{number}".encode()))
    calls.add_leg(connection, Leg("leg_1", "call_2", parent_call_id="call_1"))
    calls.add_leg(connection, Leg("leg_2", "call_3", parent_call_id="call_2"))

    assert calls.family(connection, "call_3") == calls.family(connection, "call_1") == {"call_1", "call_2", "call_3"}
    assert calls.family(connection, "call_4") == {"call_4"}


FILTERS = [
    Filter(),
    Filter(state="stored"),
    Filter(segment="private_inbound"),
    Filter(queue="billing"),
    Filter(call_id="call_1"),
    Filter(started_from=NOON, started_to=NOON + timedelta(days=1)),
    Filter(state="stored", segment="private_inbound", queue="billing", started_from=NOON),
    Filter(marked=[[b"p1", b"p2"]]),
    Filter(state="stored", queue="billing", marked=[[b"p1", b"p2"], [b"a1"]]),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_every_listing_uses_an_index(connection: Connection, wanted: Filter) -> None:
    with statements(connection) as sent:
        recordings.search(connection, wanted, limit=10, after=(NOON, "rec_1"))

    steps = plans(connection, sent)

    assert steps
    assert not [step for step in steps if step.startswith("SCAN") and "USING" not in step], steps


@pytest.mark.parametrize("wanted", FILTERS[:4])
def test_a_page_is_read_in_order_without_sorting(connection: Connection, wanted: Filter) -> None:
    with statements(connection) as sent:
        recordings.search(connection, wanted, limit=10, after=(NOON, "rec_1"))

    assert not [step for step in plans(connection, sent) if "TEMP B-TREE" in step]


def test_every_look_up_uses_an_index(connection: Connection) -> None:
    recordings.insert(connection, a_recording(1))
    call = calls.get(connection, "call_1")
    assert call is not None
    with statements(connection) as sent:
        recordings.by_ref(connection, b"r1")
        recordings.of_call(connection, "call_1")
        recordings.find_marked(connection, [b"p1", b"p2"])
        calls.by_ref(connection, b"none")
        calls.due_to_settle(connection, NOON, 10)
        calls.family(connection, "call_1")
        calls.refs(connection, call)
        evidence.consents_of(connection, ["call_1"])
        evidence.parties_of(connection, ["call_1"])
        evidence.edges_of(connection, ["call_1"])
        recordings.change_of_call(connection, "call_1", when={"state": ("announced",)}, queue="other")

    steps = plans(connection, sent)

    assert len(sent) >= 11
    assert not [step for step in steps if step.startswith("SCAN")], steps


def test_nothing_personal_or_secret_is_in_a_row_as_text(connection: Connection) -> None:
    row = a_recording(1, dek=b"wrapped", sealed=b"sealed")

    assert "wrapped" not in repr(row)
    assert "sealed" not in repr(row)
