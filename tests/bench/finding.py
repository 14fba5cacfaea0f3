"""One number among a million recordings, sought under every live day key, against reading a hundred rows by their id.

What is found is opened and shown whole: number, account, evidence of consent, holds.
"""

from __future__ import annotations

import time
from datetime import timedelta

from recorder import finding
from recorder.actors import Actor
from recorder.finding import Query
from recorder.ports import Service
from storage.catalogue import recordings
from tests.bench import crowd
from tests.bench.figures import Figure, alternated, ratio
from tests.bench.places import Place
from tests.recorder.stored import PHONE, store

SELECTS = 100
CALLS = 12  # of the customer who is looked for
DPO = Actor("bench", "dpo")


def measured(service: Service, place: Place) -> Figure:
    """Measure in a database that `crowd` has filled."""
    now = service.clock()
    for number in range(CALLS):
        store(service, now - timedelta(minutes=number))
    with service.database.read() as connection:
        some = crowd.take(connection, 0, SELECTS)

    def found() -> float:
        started = time.perf_counter()
        page = finding.search(service, Query(phone=PHONE), actor=DPO, now=service.clock())
        assert len(page.items) == CALLS
        return time.perf_counter() - started

    def selected() -> float:
        with service.database.read() as connection:
            started = time.perf_counter()
            for recording_id in some:
                recordings.get(connection, recording_id)
            return time.perf_counter() - started

    ours, theirs = alternated(21, found, selected)
    return ratio(
        f"a number found among {crowd.COUNT:,}, {place.name}",
        (ours, f"{ours * 1000:.1f} ms"),
        (theirs, f"{theirs * 1000:.1f} ms for {SELECTS} indexed selects"),
        1.0,
    )
