"""What a certificate of erasure says. Pure: a tombstone in, the facts out.

An officer's or a person's erasure is told to the second. After an expiry every time is kept to its UTC day only:
from the exact moment anybody could count back 90 days to when the call was.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from storage.catalogue.erasing import Claimed
from storage.catalogue.tombstones import Tombstone
from storage.clock import midnight, rfc3339, utc_day

EXPIRED = "expired"
NUMBERS = "certificates"  # the service key that numbers them


@dataclass(frozen=True)
class Certificate:
    """The certificate as clients get it. Times are RFC 3339: a date and time, or after an expiry the date alone."""

    certificate_id: str
    recording_id: str
    segment: str | None
    reason: str
    ordered_by: str
    due_at: str | None
    erased_at: str | None
    verified_at: str | None
    objects_deleted: int
    key_destroyed: str | None  # when the wrapped key left the live system
    unreadable_in_backups_from: str | None  # a date: its keys are destroyed by 01:00 UTC that day

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def number(secret: bytes, recording_id: str) -> str:
    """A certificate's id, the same however often the recording has to be erased; says nothing without the secret."""
    mark = hmac.digest(secret, recording_id.encode(), "sha256")[:16]
    return f"crt_{base64.b32encode(mark).decode().rstrip('=').lower()}"


def tombstone(
    recording: Claimed, *, certificate_id: str, objects_deleted: int, last_key_day: str | None, now: datetime
) -> Tombstone:
    """What remains of a recording whose objects are verified gone at `now`."""
    reason = recording.erase_reason or EXPIRED

    def kept(moment: datetime | None) -> datetime | None:
        return midnight(utc_day(moment)) if moment is not None and reason == EXPIRED else moment

    return Tombstone(
        recording_id=recording.id,
        certificate_id=certificate_id,
        segment=recording.segment,
        reason=reason,
        ordered_by=recording.erase_ordered_by or "system",
        due_at=kept(recording.erase_due_at),
        key_destroyed_at=kept(recording.erasing_since),
        erased_at=kept(now) or now,
        verified_at=kept(now),
        objects_deleted=objects_deleted,
        unreadable_from=f"{unreadable_from(last_key_day, now):%Y%m%d}",
    )


def unreadable_from(last_key_day: str | None, now: datetime) -> date:
    """The day after the last key that ever wrapped it; never earlier than today, should a key have gone late."""
    today = utc_day(now)
    return today if last_key_day is None else max(today, day_after(last_key_day))


def day_after(day: str) -> date:
    return date.fromisoformat(day) + timedelta(days=1)


def certificate(stone: Tombstone) -> Certificate:
    expired = stone.reason == EXPIRED

    def said(moment: datetime | None) -> str | None:
        return moment.date().isoformat() if moment is not None and expired else rfc3339(moment)

    return Certificate(
        certificate_id=stone.certificate_id,
        recording_id=stone.recording_id,
        segment=stone.segment,
        reason=stone.reason,
        ordered_by=stone.ordered_by,
        due_at=said(stone.due_at),
        erased_at=said(stone.erased_at),
        verified_at=said(stone.verified_at),
        objects_deleted=stone.objects_deleted,
        key_destroyed=said(stone.key_destroyed_at),
        unreadable_in_backups_from=(
            None if stone.unreadable_from is None else date.fromisoformat(stone.unreadable_from).isoformat()
        ),
    )
