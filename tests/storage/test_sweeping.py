"""Counting and finding what is due: the right answers, off the right index."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from storage.catalogue import forecast, sweeping
from storage.database import Database
from storage.tables import metadata

NOW = datetime(2026, 12, 2, 9, 18, tzinfo=UTC)


def fill(database: Database, count: int = 1, **values: object) -> list[str]:
    """Recordings that expired a minute ago, unless `values` says otherwise."""
    common = {
        "call_id": "cal_1",
        "platform": "standard",
        "state": "stored",
        "segment": "private_inbound",
        "expires_at": NOW - timedelta(minutes=1),
        "holds": 0,
        "by_answer": False,
        "attempt": 0,
        "tries": 0,
    } | values
    with database.write() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM recordings").scalar_one()
        if kept == 0:
            connection.execute(
                insert(metadata.tables["calls"]).values(id="cal_1", platform="standard", state="over", opened_at=NOW)
            )
        ids = [f"rec_{kept + at:06}" for at in range(count)]
        rows = [common | {"id": one} for one in ids]
        connection.execute(insert(metadata.tables["recordings"]), rows)
    return ids


def test_only_what_is_stored_past_its_moment_and_held_by_nobody_is_due(database: Database) -> None:
    (due,) = fill(database)
    (exactly,) = fill(database, expires_at=NOW)
    fill(database, expires_at=NOW + timedelta(microseconds=1))
    fill(database, holds=1)
    fill(database, state="erasing")
    fill(database, state="announced", expires_at=None)
    with database.read() as connection:
        assert sweeping.due_ids(connection, NOW, 10) == [due, exactly]
        assert sweeping.due(connection, NOW, NOW.date()).waiting == 1


def test_found_and_foreseen_are_counted_by_day_and_class(database: Database) -> None:
    fill(database, 3)
    fill(database, 2, expires_at=NOW - timedelta(days=1), segment="business_inbound")
    with database.write() as connection:
        forecast.adjust(connection, "20261201", 2)
        forecast.adjust(connection, "20261202", 4)
        forecast.adjust(connection, "20261203", 9)
    with database.read() as connection:
        due = sweeping.due(connection, NOW, NOW.date())
    assert due.found == {date(2026, 12, 1): 2, date(2026, 12, 2): 3}
    assert due.foreseen == {date(2026, 12, 1): 2, date(2026, 12, 2): 4}
    assert due.segments == {"private_inbound": 3, "business_inbound": 2}


@pytest.mark.parametrize("database_kind", ["sqlite"])  # PostgreSQL plans by statistics: its own test is the bench
@pytest.mark.parametrize("analysed", [False, True])
def test_an_idle_look_reads_the_partial_index_alone(database: Database, *, analysed: bool) -> None:
    fill(database, 2000, expires_at=NOW + timedelta(days=30))
    with database.write() as connection:
        if analysed:
            connection.exec_driver_sql("ANALYZE")
    with database.read() as connection:
        statement = sweeping._next_due(NOW, 1000).compile(connection.engine)
        values = [statement.params[name] for name in statement.positiontup or ()]
        bound = [int(value.timestamp() * 1e6) if isinstance(value, datetime) else value for value in values]
        plan = [line[3] for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(bound))]
    assert len(plan) == 1
    assert "USING COVERING INDEX ix_recordings_due" in plan[0]
