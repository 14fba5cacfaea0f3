"""No statement reads what grows with the calls from end to end, whatever index it takes, on either database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, event

from recorder import subscriptions
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.catalogue import bulletins
from tests.bench import crowd
from tests.conftest import MovingClock
from tests.recorder import bystanders, catalogue_acts
from tests.recorder.a_day import everything

GROWING = "|".join(bystanders.GROWING)
ONE_BY_ONE = re.compile(rf"SCAN ({GROWING})\b(?! USING)|Seq Scan on ({GROWING})\b")
Statement = tuple[str, Any]


@contextmanager
def listened(service: Service) -> Iterator[list[Statement]]:
    """Every statement run in the block that reads rows, with its parameters."""
    heard: list[Statement] = []

    def hear(
        _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            heard.append((statement, parameters[0] if many else parameters))

    event.listen(service.database.engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(service.database.engine, "before_cursor_execute", hear)


def read_whole(service: Service, statements: list[Statement]) -> set[str]:
    """Those statements whose plan has a table read from end to end."""
    explain = "EXPLAIN QUERY PLAN " if service.database.sqlite else "EXPLAIN "
    whole = set()
    with service.database.read() as connection:
        if not service.database.sqlite:
            connection.exec_driver_sql(
                "SET LOCAL enable_seqscan = off"
            )  # so that it is taken only for want of an index
        for statement, parameters in {text: (text, values) for text, values in statements}.values():
            plan = connection.exec_driver_sql(explain + statement, parameters)
            if any(ONE_BY_ONE.search(str(line)) for line in plan):
                whole.add(statement)
    return whole


def test_no_table_is_read_from_end_to_end(service: Service, clock: MovingClock) -> None:
    with listened(service) as statements:
        everything(service, clock)

    assert len(statements) > 100
    assert read_whole(service, statements) == set()


def test_what_every_start_has_tried_again_is_found_by_an_index(service: Service) -> None:
    """Every command starts, and beside `serve` webhooks wait for what it does in a transaction."""
    with listened(service) as statements, service.database.write() as connection:
        service.inbox.retry_failed(connection)

    assert read_whole(service, statements) == set()


def test_a_missing_index_would_be_seen(service: Service) -> None:
    unindexed = "SELECT id FROM recordings WHERE channels = 2 AND reason = 'x'"
    assert read_whole(service, [(unindexed, ())]) == {unindexed}


CROWD = 60_000
LATER = timedelta(days=60)
STEPS = 100  # of SQLite's machine, between two looks


@contextmanager
def counted(service: Service) -> Iterator[Counter[str]]:
    """What each statement in the block costs SQLite, in steps of its machine."""
    steps: Counter[str] = Counter()
    watched: dict[int, str] = {}

    def watch(
        connection: Connection, _cursor: object, statement: str, _parameters: object, _context: object, _many: bool
    ) -> None:
        driver: Any = connection.connection.dbapi_connection
        watched[id(driver)] = statement

        def count() -> None:
            steps[watched[id(driver)]] += STEPS

        driver.set_progress_handler(count, STEPS)

    event.listen(service.database.engine, "before_cursor_execute", watch)
    try:
        yield steps
    finally:
        event.remove(service.database.engine, "before_cursor_execute", watch)


def walking(service: Service, work: Callable[[], object]) -> set[str]:
    """Statements of this work that go through the whole crowd, by whatever index."""
    if service.database.sqlite:
        with counted(service) as steps:
            work()
        return {statement for statement, count in steps.items() if count > CROWD}
    with listened(service) as statements:
        work()
    return {text for text, values in statements if _touched(service, text, values) > CROWD // 4}


def _touched(service: Service, statement: str, values: Any) -> int:
    """How many rows PostgreSQL goes through for a statement, run once more and taken back, where it goes its own way.

    Told to leave alone what it reads from end to end, it may find a way that it would never take.
    """
    with service.database.engine.connect() as connection:
        told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
        connection.rollback()
    plans, rows = [told[0]["Plan"]], 0
    while plans:
        plan = plans.pop()
        rows += (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        plans += plan.get("Plans", [])
    return int(rows)


def test_no_statement_walks_through_a_crowd(service: Service, clock: MovingClock) -> None:
    """Neither in what a service does all day, nor in anything else that the catalogue can do."""
    crowd.fill(service.database, clock.now, CROWD)
    bystanders.fill(service.database, clock.now)
    with service.database.write() as connection:
        for table, secret in (("calls", "call_key"), ("recordings", "dek")):  # sealed by nobody: nothing to open
            connection.exec_driver_sql(f"UPDATE {table} SET key_id = NULL, {secret} = NULL, sealed = NULL")
        connection.exec_driver_sql(f"UPDATE recordings SET expires_at = {crowd.micros(clock.now + LATER)}")
    with catalogue_acts.unheard() as unheard:
        found = walking(service, partial(everything, service, clock))
        found |= walking(service, partial(catalogue_acts.do_all, service.database, clock.now))

    assert sorted(found) == []
    if not service.database.sqlite:  # which has nobody wait for a call that is not there yet
        assert unheard == set(), "have `a_day` come by these too"


def test_the_next_of_a_crowd_that_waits_is_found_without_going_through_it(
    environment: dict[str, str], clock: MovingClock
) -> None:
    for name in ("CRM", "DESK"):
        environment[f"RECORDER_SUBSCRIBERS__{name}__URL"] = "http://127.0.0.1:9"  # nobody listens
        environment[f"RECORDER_SUBSCRIBERS__{name}__SECRETS"] = "whsec_" + "N" * 32
    with opened(load(environment), clock=clock) as service:
        with service.database.write() as connection:
            told = [{"recording_id": f"rec_{number}"} for number in range(CROWD)]
            bulletins.add(connection, "recording.erased", told, ["crm", "desk"], clock.now)
        assert walking(service, partial(subscriptions.deliver, service)) == set()
