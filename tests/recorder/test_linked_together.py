"""Several workers bring calls up to date that came out of one another: none waits for another that waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext

from recorder import calls
from recorder.calls import intake
from recorder.events import Event
from recorder.ports import Service
from recorder.service import opened
from recorder.settings import Settings
from storage import audit
from storage.catalogue import calls as call_rows
from storage.catalogue import evidence
from tests.conftest import MovingClock
from tests.recorder.telling import an_event, available, open_tasks, started, the_call

WORKERS, PAIRS = 4, 12
UNREAD = text("SELECT count(*) FROM inbox WHERE state = 'new'")
DEADLOCK = "40P01"


@pytest.fixture(params=["postgresql"])  # SQLite has one writer
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def replicas(settings: Settings, clock: MovingClock) -> Iterator[list[Service]]:
    with ExitStack() as stack:
        yield [stack.enter_context(opened(settings, clock=clock)) for _ in range(WORKERS)]


@pytest.fixture
def deadlocks(replicas: list[Service]) -> list[str]:
    """Grows with each: the database's own count comes in later."""
    seen: list[str] = []

    def note(failed: ExceptionContext) -> None:
        if getattr(failed.original_exception, "sqlstate", None) == DEADLOCK:
            seen.append(str(failed.statement))

    for one in replicas:
        event.listen(one.database.engine, "handle_error", note)
    return seen


def take_in(service: Service, clock: MovingClock, *told: Event) -> None:
    for one in [intake.submit(service, told_one, clock.now) for told_one in told]:
        one.result(10)


def apply_all(replicas: list[Service], clock: MovingClock) -> None:
    """As the workers of several processes do: each looks for events, and passes over what another is at."""

    def unread(service: Service) -> int:
        with service.database.read() as connection:
            return int(connection.execute(UNREAD).scalar_one())

    def work(service: Service) -> None:
        while unread(service):
            calls.apply_pending(service, clock.now)

    with ThreadPoolExecutor(len(replicas)) as pool:
        for done in [pool.submit(work, service) for service in replicas]:
            done.result(120)


def pairs() -> Iterator[tuple[str, str]]:
    return ((f"pbx-{number}-a", f"pbx-{number}-b") for number in range(PAIRS))


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not yet begun"])
def test_p6_calls_that_name_each_other_are_brought_up_to_date_at_the_same_time(
    replicas: list[Service], clock: MovingClock, deadlocks: list[str], begun: bool
) -> None:
    service, *_ = replicas
    for pair in pairs():
        for call, other in (pair, pair[::-1]):
            moved = an_event("call.transferred", clock.now, call=call, parent_call_id=other, party={"role": "agent"})
            take_in(service, clock, *([started(clock.now, call=call)] if begun else []), moved)
            take_in(service, clock, available(clock.now, recording=f"rec-{call}", call=call))
    apply_all(replicas, clock)
    for pair in pairs():
        for call in pair:
            take_in(service, clock, an_event("consent.withdrawn", clock.now, call=call, recording_id=f"rec-{call}"))
    apply_all(replicas, clock)

    assert deadlocks == []
    assert open_tasks(service) == set()
    assert audit.verify(service.database).ok
    for pair in pairs():
        family = {the_call(service, call).id for call in pair}
        with service.database.read() as connection:
            assert [call_rows.family(connection, one) for one in family] == [family] * 2
            assert [one.decision for one in evidence.consents_of(connection, family)] == ["withdrawn"] * 2
            assert len(evidence.parties_of(connection, family)) == 2
