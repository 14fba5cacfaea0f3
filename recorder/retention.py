"""How long a recording is kept, and from when to when it may be heard: rules of time, as pure functions.

A day is 86 400 seconds in UTC: neither summer time nor a leap year moves an expiry.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from recorder.errors import ForbiddenError, RecordingNotFoundError
from recorder.settings import Retention
from storage.catalogue.recordings import Recording


def anchor(
    call_ended: datetime | None, recording_ended: datetime | None, call_started: datetime | None
) -> datetime | None:
    """From when the days are counted: the end of the call, else of the recording, else the start of the call."""
    return call_ended or recording_ended or call_started


def expires_at(anchored: datetime, days: int) -> datetime:
    """The second from which on every read refuses."""
    return anchored + timedelta(days=days)


def policy_days(settings: Retention, segment: str, told: Iterable[int]) -> int:
    """Days kept: the class's policy, but never longer than any script (`told`) said that was consented to."""
    return min([settings.days(segment), *told])


def sooner(recording: Recording, days: int, now: datetime) -> datetime | None:
    """The earlier expiry, but not before now, that a policy of so many days gives a recording; None if not earlier."""
    begun = anchor(recording.call_ended_at, recording.ended_at, recording.call_started_at)
    if begun is None or recording.expires_at is None:
        return None
    wanted = max(expires_at(begun, days), now)
    return wanted if wanted < recording.expires_at else None


def readable(
    recording: Recording, purpose: str, now: datetime, *, consented: Iterable[str] = (), held_for: Iterable[str] = ()
) -> None:
    """Return if it may be heard now for this purpose: one that `purposes` gives for the same facts.

    Raises `ForbiddenError` where it is not, and `RecordingNotFoundError` as `purposes` does.
    """
    if purpose not in purposes(recording, now, consented=consented, held_for=held_for):
        raise ForbiddenError("this recording is not open for that purpose")


def purposes(
    recording: Recording, now: datetime, *, consented: Iterable[str] = (), held_for: Iterable[str] = ()
) -> frozenset[str]:
    """What it may be heard for now.

    `consented` are the purposes of every standing yes, none after a withdrawal; `held_for` the kinds of its open
    holds. A restriction closes it to all but the holds' own purposes; so does a dispute or the law once the consent
    is withdrawn or the time is over. As long as none of that applies, the person may hear it too (`access`). Nothing is
    returned where it is held and `held_for` does not say for what. Raises `RecordingNotFoundError` where it is gone or
    its time is over, whether or not it has been swept yet.
    """
    if recording.state != "stored" or recording.dek is None:
        raise RecordingNotFoundError
    kinds = frozenset(held_for)
    if recording.expires_at is None or (recording.expires_at <= now and not recording.holds):
        raise RecordingNotFoundError
    if recording.holds and not kinds:
        return frozenset()
    blocking, agreed = kinds - {"access"}, frozenset(consented)
    if recording.expires_at <= now or not agreed or "restriction" in kinds:
        return blocking or frozenset(["access"])
    return agreed | blocking | {"access"}
