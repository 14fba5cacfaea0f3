"""Figures for operators: right, cheap, and about nobody."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from api.metrics import Metrics
from recorder import erasure
from recorder.actors import Actor
from recorder.capture import uploading
from recorder.ports import Service
from recorder.subject_requests import identity_check
from storage import audit
from storage.catalogue import attempts, figures, recordings
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import ask, granted, stored
from tests.recorder.stored import store

DPO = Actor("tok_dpo", "dpo")


def figure(metrics: Metrics, name: str) -> dict[str, float]:
    found = re.findall(rf"^recorder_{name}(\{{[^}}]*\}})? (\S+)$", metrics.text().decode(), re.M)
    return {labels: float(value) for labels, value in found}


def test_every_figure_is_read_and_named(service: Service, clock: MovingClock) -> None:
    with service.database.read() as connection:
        assert set(figures.slow(connection) | figures.quick(connection, clock.now)) == {
            name for name, _, _ in figures.NAMES
        }


def test_p3_what_is_past_its_hour_is_counted_until_it_is_gone(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    store(service, clock.now, days=1)
    clock.advance(days=1)
    assert (figure(metrics, "erasures_overdue"), figure(metrics, "erasures_late")) == ({"": 1}, {"": 0})
    clock.advance(hours=1)
    assert figure(metrics, "erasures_late") == {"": 1}
    with service.database.write() as connection:
        ids = [row.id for row in connection.execute(text("SELECT id FROM recordings"))]
        entries = erasure.claim_due(connection, ids, DPO, clock.now)
        audit.append_many(connection, entries, now=clock.now)
    assert (figure(metrics, "erasing"), figure(metrics, "erasures_late")) == ({"": 1}, {"": 1})
    erasure.finish_erasures(service, clock.now)
    assert (figure(metrics, "erasing"), figure(metrics, "erasures_late")) == ({"": 0}, {"": 0})


def test_p3_what_was_given_up_is_counted_until_it_is_gone(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    recording = store(service, clock.now)
    with service.database.write() as connection:
        attempts.lose(connection, recording.id, kept=True)
    assert figure(metrics, "leftovers") == {"": 3}
    uploading.erase_lost(service)
    assert figure(metrics, "leftovers") == {"": 0}


def test_keys_are_counted_ahead_and_overdue(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    assert figure(metrics, "keys_ahead") == {"": 98}
    assert figure(metrics, "keys_overdue") == {'{purpose="day"}': 0, '{purpose="inbox"}': 0}
    clock.advance(days=2)
    assert figure(metrics, "keys_ahead") == {"": 96}
    assert figure(metrics, "keys_overdue") == {'{purpose="day"}': 2, '{purpose="inbox"}': 0}


def test_acts_are_counted_by_reason_from_the_first_reading_on(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    erasure.erase(service, store(service, clock.now).id, reason="other", actor=DPO, now=clock.now)
    assert figure(metrics, "acts_total") == {}
    erasure.erase(service, store(service, clock.now).id, reason="other", actor=DPO, now=clock.now)
    with service.database.write() as connection:
        body = {"reason": "Anna, +4520123456"}
        audit.append(connection, type="hold.placed", actor="x", subject="y", body=body, now=clock.now)
    assert figure(metrics, "acts_total") == {
        '{reason="other",type="recording.erasing"}': 1,
        '{reason="other",type="recording.erased"}': 1,
        '{reason="",type="hold.placed"}': 1,
    }


def test_two_who_read_at_once_count_an_act_once(service: Service, clock: MovingClock) -> None:
    """As two Prometheus servers do that watch the same house."""
    metrics = Metrics(service)
    metrics.text()
    erasure.erase(service, store(service, clock.now).id, reason="other", actor=DPO, now=clock.now)
    both = threading.Barrier(2, timeout=0.5)

    def wait(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM audit " in statement.replace("\n", " "):
            with suppress(threading.BrokenBarrierError):  # the other does not come, for it is kept waiting
                both.wait()

    event.listen(service.database.engine, "after_cursor_execute", wait)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: metrics.text(), range(2)))
    event.remove(service.database.engine, "after_cursor_execute", wait)
    assert set(figure(metrics, "acts_total").values()) == {1}


def test_captures_are_timed_whoever_made_them(service: Service, clock: MovingClock) -> None:
    """The process that is asked is not the one that captures."""
    metrics, replica = Metrics(service), Metrics(service)
    stored(service, clock, "pbx-1")
    assert figure(metrics, "capture_seconds_count") == figure(replica, "capture_seconds_count") == {"": 0}
    gone = stored(service, clock, "pbx-2")
    erasure.erase(service, gone, reason="other", actor=DPO, now=clock())
    stored(service, clock, "pbx-3")
    for _ in range(2):
        assert figure(metrics, "capture_seconds_count") == {"": 1}, "what is gone by now is not timed"
    assert figure(metrics, "capture_seconds_sum")[""] < 5, "from the push on, not from the call's end before it"
    assert figure(replica, "capture_seconds_count") == {"": 1}


@pytest.mark.parametrize(
    ("available_s", "ended_s", "seconds"),
    [(0, 30, 60), (30, 0, 60), (None, 0, 90), (0, None, 90), (30, 100, 0), (None, None, None)],
    ids=["call over last", "announced last", "never announced", "end unknown", "clocks differ", "neither"],
)
def test_a_capture_takes_from_when_it_could_begin(
    service: Service, clock: MovingClock, available_s: int | None, ended_s: int | None, seconds: int | None
) -> None:
    recording, began = store(service, clock.now), clock.now
    told = {
        name: None if after is None else began + timedelta(seconds=after)
        for name, after in (("available_at", available_s), ("call_ended_at", ended_s), ("stored_at", 90))
    }
    with service.database.write() as connection:
        recordings.change(connection, recording.id, **told)
    with service.database.read() as connection:
        assert figures.capture_seconds(connection, [recording.id, "rec_gone"]) == ([] if seconds is None else [seconds])


def test_a_reading_touches_what_waits_and_not_what_is_kept(service: Service, clock: MovingClock) -> None:
    """What grows with the recordings, calls and acts is never gone through row by row."""
    growing = {"recordings", "calls", "inbox", "attempts", "marks", "audit", "outbox", "source_deletions", "consents"}
    assert growing <= set(metadata.tables)
    sqlite = service.database.sqlite
    scan = re.compile(r"SCAN (\w+)(?!.*INDEX)" if sqlite else r"Seq Scan on (\w+)")
    with service.database.read() as connection:
        with listened(service.database.engine) as statements:
            figures.quick(connection, clock.now)
            figures.capture_seconds(connection, ["rec_1"])
        if not sqlite:
            connection.execute(text("SET enable_seqscan = off"))  # then there is one only where nothing else would do
        for statement, parameters in statements:
            explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
            for row in connection.exec_driver_sql(f"{explain} {statement}", parameters):
                scanned = scan.search(str(row[-1]))
                assert scanned is None or scanned[1] not in growing, f"{row}: {statement}"


@contextmanager
def listened(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    said: list[tuple[str, Any]] = []

    def hear(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    yield said
    event.remove(engine, "before_cursor_execute", hear)


def test_sizes_are_read_every_five_minutes(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    assert figure(metrics, "recordings") == {}
    store(service, clock.now - timedelta(hours=1))
    assert figure(metrics, "recordings") == {}
    metrics._slow_at -= 301
    assert figure(metrics, "recordings") == {'{state="stored"}': 1}


def test_what_is_answered_is_not_due(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    stored(service, clock)
    granted(service, clock)
    clock.advance(days=29)
    assert figure(metrics, "requests_min_days_left") == {"": 31.0}


def test_while_the_person_is_asked_nothing_is_due(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    stored(service, clock)
    identity_check.ask(service, ask(service, clock).id, DPO, clock())
    clock.advance(days=29)
    assert figure(metrics, "requests_min_days_left") == {"": 31.0}


def test_a_letter_that_may_still_wait_is_not_late(service: Service, clock: MovingClock) -> None:
    metrics = Metrics(service)
    stored(service, clock)
    ask(service, clock)
    clock.advance(minutes=59)
    assert figure(metrics, "outbox_oldest_seconds") == {}
    clock.advance(minutes=3)
    assert figure(metrics, "outbox_oldest_seconds") == {'{kind="mail"}': 120.0}
