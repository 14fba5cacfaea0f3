"""The sweep: what is due goes, and the keys of days that are over go, whether or not a store can be reached.

Order matters. Holds are reviewed first, so that no key takes a held recording with it; due rows lose their data keys;
then day keys are destroyed; objects last, because they may have to wait for their store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from recorder import erasure, once, subscriptions, tokens
from recorder.actors import SYSTEM, Actor
from recorder.erasure import disposal, notes
from recorder.errors import BrakeError
from recorder.faultpoints import reached
from recorder.holds import review_holds
from recorder.ports import Service
from recorder.sweep import brakes
from recorder.sweep.brakes import Brake
from recorder.sweep.key_destruction import destroy_due_keys
from storage import audit
from storage.catalogue import bulletins, idempotency, seen, sessions, source_deletions, sweeping, tasks
from storage.catalogue import tokens as token_rows
from storage.clock import running, utc_day
from storage.errors import StorageError

__all__ = ["SweepPlan", "SweepReport", "destroy_due_keys", "plan", "review_holds", "sweep"]

REMEMBERED = timedelta(days=100)  # a platform repeats a callback for days, not months
BRAKE = "sweep_brake"

log = structlog.get_logger(__name__)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep at this moment would find; `due` is what it would claim, `waiting` what a hold keeps from it."""

    at: datetime
    due: int
    waiting: int
    days: dict[date, tuple[int, int]]  # day of expiry → found, foreseen
    segments: dict[str, int]
    brakes: list[Brake]

    def lines(self) -> Iterator[str]:
        """For people: what is due and why, what waits, and what an unattended sweep would stop at."""
        yield f"{self.due} due, {self.waiting} waiting for a hold"
        for segment, count in sorted(self.segments.items()):
            yield f"  {segment}: {count}"
        for day, (found, foreseen) in sorted(self.days.items()):
            yield f"  expired {day}: {found} found, {foreseen} foreseen"
        for brake in self.brakes:
            yield f"brake {brake.kind}: {brake.detail}"


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did. `erased` counts certificates, `unfinished` what waits for its store."""

    claimed: int
    erased: int
    unfinished: int
    keys_destroyed: int
    passed: list[Brake]  # brakes that did not stop it

    def lines(self) -> Iterator[str]:
        yield f"{self.claimed} claimed, {self.erased} erased, {self.unfinished} unfinished"
        yield f"{self.keys_destroyed} keys destroyed"
        for brake in self.passed:
            yield f"went on in spite of {brake.kind}: {brake.detail}"


def plan(service: Service, now: datetime) -> SweepPlan:
    """Look without touching: the same counting the sweep decides by."""
    today = utc_day(now)
    with service.database.read() as connection:
        latest = audit.latest(connection)
        due = sweeping.due(connection, now, today)
    seconds = {"database": service.database.server_time(), "store": _store_time(service)}
    felt = brakes.clock_brakes(now, seconds, latest) + brakes.forecast_brakes(due.found, due.foreseen, today)
    days = due.found.keys() | {day for day, foreseen in due.foreseen.items() if foreseen}
    return SweepPlan(
        at=now,
        due=sum(due.found.values()),
        waiting=due.waiting,
        days={day: (due.found.get(day, 0), due.foreseen.get(day, 0)) for day in days},
        segments=due.segments,
        brakes=felt,
    )


def due_ids(service: Service, found: SweepPlan) -> list[str]:
    """The recordings a plan counted, longest due first: random ids, for a person who wants to look."""
    with service.database.read() as connection:
        return sweeping.due_ids(connection, found.at, found.due)


def sweep(
    service: Service, now: datetime, *, unattended: bool, actor: Actor = SYSTEM, progress: Progress | None = None
) -> SweepReport:
    """Erase what is due, destroy the keys that are, finish what was begun, forget what is old enough.

    Unattended, a brake stops it before it touches anything: it raises `BrakeError` and opens a task, for a day at most.
    May run beside another one: every claim is conditional. `progress` is told how many are erased so far.
    """
    clock = running(now)
    found = plan(service, now)
    if unattended:
        _obey(service, found.brakes, now)
    claimed = _claim_all(service, actor, now)
    if any(brake.kind == "forecast" for brake in found.brakes):
        with service.database.write() as connection:
            sweeping.settle_forecast(connection, utc_day(now))
    keys_destroyed = destroy_due_keys(service, now)
    reached("sweep.keys_destroyed")
    erased = 0
    while done := erasure.finish_erasures(service, clock()):
        erased += done
        if progress is not None:
            progress(erased)
    with service.database.read() as connection:
        unfinished = sweeping.count_erasing(connection)
    _forget(service, now)
    if claimed or erased:
        log.info("sweep.done", claimed=claimed, erased=erased, unfinished=unfinished)
    return SweepReport(claimed, erased, unfinished, keys_destroyed, found.brakes)


def _claim_all(service: Service, actor: Actor, now: datetime) -> int:
    claimed = 0
    while True:
        with service.database.read() as connection:
            ids = sweeping.due_ids(connection, now, disposal.BATCH)
        if not ids:
            return claimed
        with service.database.write() as connection:
            entries = erasure.claim_due(connection, ids, actor, now)
            if entries:
                audit.append_many(connection, entries, now=now)
        reached("sweep.claimed")
        if not entries:
            return claimed  # all of them are in somebody else's hands; the next sweep looks again
        claimed += len(entries)


def _obey(service: Service, felt: list[Brake], now: datetime) -> None:
    """Stop for every brake felt for less than its day, and let people know; brakes no longer felt are closed."""
    kinds = sorted({brake.kind for brake in felt})
    with service.database.read() as connection:
        since = {task.subject_id: task.opened_at for task in tasks.open_tasks(connection, kind=BRAKE)}
    if since.keys() != set(kinds):
        _alarm(service, kinds, since, now)
    holding = brakes.still_holding(since, felt, now)
    if holding:
        raise BrakeError("; ".join(brake.detail for brake in holding))


def _alarm(service: Service, kinds: list[str], since: dict[str, datetime], now: datetime) -> None:
    with service.database.write() as connection:
        for kind in since.keys() - set(kinds):
            tasks.close_task(connection, BRAKE, kind, SYSTEM.id, now)
        new = [kind for kind in kinds if tasks.open_task(connection, BRAKE, kind, now)]
        if new:
            audit.append(
                connection, type="sweep.stopped", actor=SYSTEM.id, subject="sweep", body={"brakes": new}, now=now
            )


def _store_time(service: Service) -> datetime | None:
    try:
        return service.vault.objects.clock()
    except StorageError:
        return None  # the store's word is a second opinion; a silent store stops nothing


def _forget(service: Service, now: datetime) -> None:
    """Forget marks that no platform will repeat any more, sessions that ran out, and whom old tokens belonged to."""
    before = now - REMEMBERED
    for forget in (service.inbox.forget_before, seen.forget_before, source_deletions.forget_before):
        while True:
            with service.database.write() as connection:
                forgotten = forget(connection, before)
            if not forgotten:
                break
    notes.forget(service, now)
    with service.database.write() as connection:
        sessions.forget_expired(connection, now)
        idempotency.forget_before(connection, now - once.REMEMBERED)
        bulletins.forget_before(connection, now - subscriptions.KEPT)
        token_rows.forget_before(connection, now - tokens.KEPT)
