"""Applies a policy that became shorter to all that is kept already, after a look at what that would do.

A longer one never reaches what is kept: whoever said yes was told less. The keys stay where they are, so earlier
backups stay readable until the same day as before; certificates say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from recorder.actors import Actor
from recorder.erasure.disposal import BATCH
from recorder.ports import Service
from recorder.retention import sooner
from recorder.segments import SEGMENTS
from storage import audit
from storage.audit import Entry
from storage.catalogue import forecast, recordings
from storage.catalogue.recordings import Recording


@dataclass(frozen=True)
class Shortening:
    """What the policy of a class would change: how many recordings expire sooner, and how many of those at once."""

    segment: str
    days: int
    sooner: int
    at_once: int

    def line(self) -> str:
        return f"{self.segment}: {self.days} days; {self.sooner} would expire sooner, {self.at_once} of them at once"


def plan(service: Service, now: datetime) -> list[Shortening]:
    """Look without touching, by the same rule that `shorten` goes by."""
    found = []
    for segment in SEGMENTS:
        days, after, ends = service.settings.retention.days(segment), "", list[datetime]()
        with service.database.read() as connection:
            while batch := recordings.kept_of(connection, segment, after, BATCH):
                ends += [end for one in batch if (end := sooner(one, days, now)) is not None]
                after = batch[-1].id
        found.append(Shortening(segment, days, len(ends), ends.count(now)))
    return found


def shorten(service: Service, actor: Actor, now: datetime, progress: Callable[[int], None] = lambda _: None) -> int:
    """Let what is kept expire by policies that have become shorter; returns how many do. A sweep takes what is due."""
    done = 0
    for segment in SEGMENTS:
        for changed in _in_batches(service, segment, actor, now):
            done += changed
            progress(done)
    return done


def _in_batches(service: Service, segment: str, actor: Actor, now: datetime) -> Iterator[int]:
    days, after = service.settings.retention.days(segment), ""
    while True:
        with service.database.write() as connection:
            batch = recordings.kept_of(connection, segment, after, BATCH, lock=True)
            ends = [(one, end) for one in batch if (end := sooner(one, days, now)) is not None]
            _bring_forward(connection, ends)
            entries = [Entry("recording.shortened", actor.id, one.id, {"days": days}) for one, _ in ends]
            if entries:
                audit.append_many(connection, entries, now=now)
        if not batch:
            return
        after = batch[-1].id
        yield len(ends)


def _bring_forward(connection: Connection, ends: list[tuple[Recording, datetime]]) -> None:
    """Write the new ends and move them in the forecast, in which held recordings are not counted."""
    days: Counter[str] = Counter()
    for recording, end in ends:
        recordings.change(connection, recording.id, expires_at=end)
        if recording.holds == 0 and recording.expires_at is not None:
            days[f"{recording.expires_at:%Y%m%d}"] -= 1
            days[f"{end:%Y%m%d}"] += 1
    for day in sorted(days):  # in one order everywhere, so that two never wait for each other
        forecast.adjust(connection, day, days[day])
