"""P6: the line to the database is cut at a COMMIT, as in a failover: nobody knows whether it was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select

from recorder import calls, capture, erasure, holds, sources, sweep
from recorder.actors import Actor
from recorder.calls import intake
from recorder.events import Event
from recorder.ports import Service
from storage import audit
from storage.catalogue import holds as hold_rows
from storage.clock import rfc3339
from storage.errors import StorageError
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.captured import acts
from tests.recorder.exchange import Exchange, exchange
from tests.recorder.sounds import speechlike, wav
from tests.recorder.stored import hear, row
from tests.recorder.telling import an_event, started
from tests.servers.severed import Fate, severed

__all__ = ["exchange"]  # fixtures

DPO = Actor("tok_dpo", "dpo")
CALLS = 4
AUDIO = wav(speechlike(2))
FATES: tuple[Fate, ...] = ("pass",) * 8 + ("lose the answer",) * 2 + ("lose the request",)
ONCE = ("call.opened", "call.ended", "consent.granted", "recording.announced", "recording.stored", "source.deleted")


class Trouble:
    """Decides what becomes of each COMMIT; while it is `on`, some are lost."""

    def __init__(self, seed: int) -> None:
        self.on = False
        self.lost: Counter[Fate] = Counter()
        self._chance = Random(seed)

    def __call__(self) -> Fate:
        fate = self._chance.choice(FATES) if self.on else "pass"
        self.lost[fate] += 1
        return fate

    def during(self, times: int, *works: Callable[[], object]) -> None:
        """Do these over and over, as their callers would; in the end once more, when all is well."""
        self.on = True
        for _ in range(times):
            for work in works:
                with suppress(StorageError):
                    work()
        self.on = False
        for work in works:
            work()


@pytest.fixture(params=["postgresql"])  # SQLite has no line to be cut
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def trouble() -> Trouble:
    return Trouble(1)


@pytest.fixture
def environment(environment: dict[str, str], exchange: Exchange, trouble: Trouble) -> Iterator[dict[str, str]]:
    with severed(environment["RECORDER_DATABASE__URL"], trouble) as url:
        yield environment | exchange.environment() | {"RECORDER_DATABASE__URL": url}


def story(number: int, exchange: Exchange, clock: MovingClock) -> list[Event]:
    call, recording, path = f"pbx-{number}", f"rec-{number}", f"/r/{number}.wav"
    exchange.recordings[path] = AUDIO
    lies = {"recording_id": recording, "url": exchange.origin + path, "started_at": rfc3339(clock.now)}
    return [
        started(clock.now, call=call, account="A-1001"),
        an_event("consent.granted", clock.now, call=call, method="dtmf", digit="1", script="inbound-da@1"),
        an_event("recording.started", clock.now, call=call, recording_id=recording),
        an_event("call.ended", clock.now + timedelta(seconds=2), call=call),
        an_event("recording.available", clock.now + timedelta(seconds=3), call=call, **lies),
    ]


def having(service: Service, table: str, column: str, state: str) -> list[str]:
    columns = metadata.tables[table].c
    with service.database.read() as connection:
        return sorted(connection.execute(select(columns[column]).where(columns.state == state)).scalars())


def standing(service: Service, recording_id: str) -> list[str]:
    with service.database.read() as connection:
        return [one.id for one in hold_rows.standing(connection, [recording_id]).get(recording_id, [])]


def test_p6_what_was_committed_unheard_is_neither_lost_nor_done_twice(
    service: Service, clock: MovingClock, exchange: Exchange, trouble: Trouble
) -> None:
    told = [event for number in range(CALLS) for event in story(number, exchange, clock)]
    clock.advance(seconds=5)
    trouble.during(2, *(lambda one=one: intake.submit(service, one, clock.now).result(20) for one in told))  # type: ignore[misc]
    trouble.during(
        12,
        lambda: clock.advance(seconds=61),
        lambda: calls.apply_pending(service, clock.now),
        lambda: capture.capture_due(service, clock.now),
        lambda: sources.delete_at_sources(service, clock.now),
    )
    for _ in range(3):  # whatever waits longest has its turn
        clock.advance(minutes=40)
        capture.capture_due(service, clock.now)
        capture.erase_leftovers(service)
        sources.delete_at_sources(service, clock.now)

    done, stored = Counter(acts(service)), having(service, "recordings", "id", "stored")
    assert {name: done[name] for name in ONCE} == dict.fromkeys(ONCE, CALLS)
    assert [hear(service, row(service, one), clock.now) for one in stored] == [AUDIO] * CALLS
    assert sorted(service.vault.objects.keys("")) == having(service, "attempts", "object_key", "kept")

    held, ordered, *_ = stored
    trouble.during(
        6,
        lambda: standing(service, held) or holds.place(service, held, "legal", "case-7", DPO, clock.now),
        lambda: erasure.erase(service, ordered, reason="ordered", actor=DPO, now=clock.now),
    )
    trouble.during(6, lambda: [holds.release(service, one, DPO, clock.now) for one in standing(service, held)])
    clock.advance(days=91)
    trouble.during(6, lambda: clock.advance(minutes=6), lambda: sweep.sweep(service, clock.now, unattended=False))

    done = Counter(acts(service))
    assert (done["hold.placed"], done["hold.released"]) == (1, 1)
    assert (done["recording.erasing"], done["recording.erased"]) == (CALLS, CALLS)
    assert list(service.vault.objects.keys("")) == []
    assert audit.verify(service.database).ok
    assert min(trouble.lost.values()) > CALLS
