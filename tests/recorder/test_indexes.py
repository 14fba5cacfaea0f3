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

from recorder import (
    capture,
    erasure,
    finding,
    holds,
    inquiring,
    listening,
    matching,
    sheltering,
    sources,
    subscriptions,
    sweep,
)
from recorder.actors import Actor
from recorder.events import Event
from recorder.finding import Query
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import load
from storage.catalogue import bulletins
from tests.bench import crowd
from tests.conftest import MovingClock
from tests.recorder.stored import PHONE, store
from tests.recorder.telling import an_event, started, tell

DPO = Actor("tok_dpo", "dpo")
GROWING = (
    "attempts|audit|calls|consents|inbox|inquiries|key_uses|legs|listenings|marks|parties|recordings|seen|spans|"
    "source_deletions|tombstones"
)
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


def ask_about_a_call(service: Service, clock: MovingClock) -> None:
    """Of which no recording was heard: looked up, asked of a platform that is off, and put off."""
    told = Event("consent.granted", "twilio", "CA1", "CA1:consent", clock.now)
    with service.database.write() as connection:
        inquiring.note(service, connection, told, clock.now)
    assert inquiring.ask_platforms(service, clock.now + inquiring.FIRST_WAIT) == 1


def everything(service: Service, clock: MovingClock) -> None:
    """What a service does all day."""
    due = store(service, clock.now - timedelta(days=90))
    held, ordered = store(service, clock.now - timedelta(days=80)), store(service, clock.now)
    holds.place(service, held.id, "legal", None, DPO, clock.now)
    sheltering.shelter(service, clock.now)
    for query in (
        Query(),
        Query(phone=PHONE),
        Query(queue="q"),
        Query(segment="private_inbound"),
        Query(state="stored"),
    ):
        finding.search(service, query, actor=DPO, now=clock.now)
    matching.find(service, {"phone": PHONE}, "req_1", clock.now, to_be_stored=True)
    listening.open_for_staff(service, ordered.id, actor=DPO, purpose="access", rendition="original", now=clock.now)
    erasure.erase(service, ordered.id, reason="ordered", actor=DPO, now=clock.now)
    tell(service, started(clock.now, call="pbx-1"), an_event("call.ended", clock.now, call="pbx-1"))
    capture.capture_due(service, clock.now, limit=1)
    sources.delete_at_sources(service, clock.now, limit=10)
    ask_about_a_call(service, clock)
    sweep.sweep(service, clock.now, unattended=False)
    assert erasure.certificate(service, due.id)
    sweep.sweep(service, clock.advance(days=10), unattended=False)


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
    crowd.fill(service.database, clock.now, CROWD)
    with service.database.write() as connection:
        for table, secret in (("calls", "call_key"), ("recordings", "dek")):  # sealed by nobody: nothing to open
            connection.exec_driver_sql(f"UPDATE {table} SET key_id = NULL, {secret} = NULL, sealed = NULL")
        connection.exec_driver_sql(f"UPDATE recordings SET expires_at = {crowd.micros(clock.now + LATER)}")
    assert sorted(walking(service, partial(everything, service, clock))) == []


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
