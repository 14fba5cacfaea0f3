"""Taking back the consent to all of their calls in one step.

Each call goes as if it were withdrawn alone, in a transaction of its own: what a crash leaves undone can be asked for
again. Deleting from the store is left to the job, so that the answer waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from recorder import erasure
from recorder.access_links import Visit
from recorder.actors import Actor
from recorder.erasure import Choice
from recorder.erasure.hold_matrix import Verdict, verdict
from recorder.errors import ChoiceNeededError, RecordingNotFoundError
from recorder.finding import past
from recorder.ports import Service
from recorder.subject_requests import course
from storage.catalogue import holds, recordings, requests
from storage.catalogue.recordings import Recording


@dataclass(frozen=True)
class Left:
    """The recordings they can still withdraw their consent to or have deleted, with what a withdrawal does to each."""

    items: Sequence[tuple[Recording, Verdict]]

    @property
    def total(self) -> int:
        return len(self.items)

    @property
    def held(self) -> int:
        """How many wait for the law or a dispute, whatever is chosen."""
        return sum(word == "wait" for _, word in self.items)

    @property
    def consented(self) -> bool:
        """Whether the consent to any of them still stands."""
        return any(row.erase_reason is None for row, _ in self.items)

    @property
    def copies_first(self) -> bool:
        """Whether all of them can wait for their copies: what nothing holds would be gone at once."""
        words = {word for _, word in self.items}
        return "ask" in words and "go" not in words


@dataclass(frozen=True)
class AllWithdrawn:
    """What became of them: for each recording that goes, when its call was and the number of its certificate."""

    going: Sequence[tuple[datetime | None, str]]
    held: int


def left(service: Service, visit: Visit, now: datetime) -> Left:
    """All that is left of what they were given, except what is withdrawn already and waits for the law or a dispute."""
    with service.database.read() as connection:
        ids = [one.recording_id for one in requests.matched(connection, visit.link.request_id) if one.approved]
        rows = [row for row in recordings.many(connection, ids) if row.state == "stored" and not past(row, now)]
        standing = holds.standing(connection, [row.id for row in rows])
    said = [(row, verdict({hold.kind for hold in standing.get(row.id, ())}, "withdrawal")) for row in rows]
    return Left([(row, word) for row, word in said if row.erase_reason is None or word != "wait"])


def withdraw_all(service: Service, visit: Visit, choice: Choice | None, now: datetime) -> AllWithdrawn:
    """Take back the consent to every call.

    Raises `ChoiceNeededError`, changing nothing, where the choice is missing or not available, or nothing is left.
    """
    here, actor = left(service, visit, now), Actor(visit.link.id, "customer")
    if choice is None or not here.items or (choice == "copy_first" and not here.copies_first):
        raise ChoiceNeededError
    calls = {row.call_id: row for row, _ in here.items if row.erase_reason is None or choice == "delete_now"}
    going: list[tuple[datetime | None, str]] = []
    for row in sorted(calls.values(), key=lambda row: (row.call_started_at or now, row.id)):
        with suppress(RecordingNotFoundError):  # gone meanwhile
            numbers, _ = erasure.begin_withdrawal(service, row.id, actor, now, choice)
            going += [(row.call_started_at, number) for number in numbers.values()]
    if going:
        service.wake("erase")
        course.close_if_nothing_is_left(service, visit.link.request_id, actor, now)
    return AllWithdrawn(going, here.held)
