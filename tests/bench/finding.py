"""One number among a million recordings, sought under every live day key, against a hundred indexed selects."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import bindparam, select

from recorder import finding
from recorder.finding import Query
from recorder.ports import Actor, Service
from storage.tables import metadata
from tests.bench import crowd
from tests.bench.figures import Figure, alternated, ratio
from tests.bench.places import Place
from tests.recorder.stored import PHONE, store

SELECTS = 100
CALLS = 12  # of the one who is looked for
DPO = Actor("bench", "dpo")
MARKS = metadata.tables["marks"]
SELECT = select(MARKS.c.recording_id).where(MARKS.c.mark == bindparam("mark"))


def measured(service: Service, place: Place) -> Figure:
    """In a database that a crowd fills."""
    now = service.clock()
    for number in range(CALLS):
        store(service, now - timedelta(minutes=number))
    with service.database.read() as connection:
        some = list(connection.exec_driver_sql(f"SELECT mark FROM marks LIMIT {SELECTS}").scalars())

    def found() -> float:
        started = time.perf_counter()
        page = finding.search(service, Query(phone=PHONE), actor=DPO, now=service.clock())
        assert len(page.items) == CALLS
        return time.perf_counter() - started

    def selected() -> float:
        with service.database.read() as connection:
            started = time.perf_counter()
            for mark in some:
                connection.execute(SELECT, {"mark": mark}).all()
            return time.perf_counter() - started

    ours, theirs = alternated(21, found, selected)
    return ratio(
        f"a number found among {crowd.COUNT:,}, {place.name}",
        (ours, f"{ours * 1000:.1f} ms"),
        (theirs, f"{theirs * 1000:.1f} ms for {SELECTS} indexed selects"),
        1.0,
        at_least=False,
    )
