"""Hearing a recording: who may, for what purpose, and noting it before the first byte. Handles plaintext audio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from recorder import retention
from recorder.actors import Actor
from recorder.calls.family import Family
from recorder.errors import ForbiddenError, InvalidInputError, RecordingNotFoundError
from recorder.ports import Service
from storage import audit
from storage.catalogue import attempts, calls, holds, listenings, recordings
from storage.catalogue.attempts import Attempt
from storage.catalogue.recordings import Recording
from storage.vault import SealedReader

PURPOSES = ("quality", "training", "documentation", "access", "legal", "dispute", "restriction")
BY_ROLE = {"reviewer": ("quality", "training"), "dpo": PURPOSES}
RENDITIONS = ("original", "playback")
NOTED_ONCE_IN = timedelta(minutes=30)

Act = Literal["listened", "downloaded"]


@dataclass(frozen=True)
class Listening:
    """Audio that may be heard now. A stream calls `recheck` while it lasts; it raises once that is no longer so."""

    reader: SealedReader
    size: int
    content_type: str
    recheck: Callable[[datetime], None]
    etag: str  # random; changes when the recording is cut anew


def open_for_staff(
    service: Service, recording_id: str, *, actor: Actor, purpose: str, rendition: str, now: datetime
) -> Listening:
    """A recording for one of the staff, for a purpose their role has and the person agreed to.

    Raises `InvalidInputError` for a purpose or rendition that is none, `ForbiddenError` for one not open to them,
    `RecordingNotFoundError` where it is gone or its time is over.
    """
    if purpose not in PURPOSES:
        raise InvalidInputError("purpose is not one of " + ", ".join(PURPOSES))
    if purpose not in BY_ROLE.get(actor.role, ()):
        raise ForbiddenError("this role does not listen for that purpose")
    return open_for(service, recording_id, actor=actor, purpose=purpose, rendition=rendition, now=now)


def open_for(
    service: Service,
    recording_id: str,
    *,
    actor: Actor,
    purpose: str,
    rendition: str,
    now: datetime,
    act: Act = "listened",
) -> Listening:
    """The same for whoever was admitted already. `playback` is the original where browsers play that."""
    if rendition not in RENDITIONS:
        raise InvalidInputError("rendition is not one of " + ", ".join(RENDITIONS))
    with service.database.read() as connection:
        recording = may_hear(connection, recording_id, purpose, now)
        kept = attempts.kept(connection, recording_id)
        noted = listenings.noted_since(connection, recording_id, actor.id, purpose, now - NOTED_ONCE_IN, act)
    attempt = kept.get(rendition) or kept.get("original")
    if attempt is None:
        raise RecordingNotFoundError
    reader = open_rendition(service, recording, attempt, now)
    if not noted:
        _note(service, recording_id, actor, purpose, act, now)

    def recheck(moment: datetime) -> None:
        with service.database.read() as connection:
            may_hear(connection, recording_id, purpose, moment)

    return Listening(reader, reader.size, attempt.content_type or "application/octet-stream", recheck, attempt.id)


def may_hear(connection: Connection, recording_id: str, purpose: str, now: datetime) -> Recording:
    """The recording, if it may be heard for this purpose now. Raises as `retention.readable` does."""
    recording, consented, held_for = _known(connection, recording_id)
    retention.readable(recording, purpose, now, consented=consented, held_for=held_for)
    return recording


def purposes(service: Service, recording_id: str, *, actor: Actor, now: datetime) -> list[str]:
    """What one of the staff may hear a recording for now; nothing where it is gone or its time is over."""
    with service.database.read() as connection:
        try:
            recording, consented, held_for = _known(connection, recording_id)
            allowed = retention.purposes(recording, now, consented=consented, held_for=held_for)
        except RecordingNotFoundError:
            return []
    return [one for one in BY_ROLE.get(actor.role, ()) if one in allowed]


def _known(connection: Connection, recording_id: str) -> tuple[Recording, frozenset[str], frozenset[str]]:
    """A recording, what was agreed to, and the kinds of its holds. Raises `RecordingNotFoundError`."""
    recording = recordings.get(connection, recording_id)
    if recording is None:
        raise RecordingNotFoundError
    call = calls.get(connection, recording.call_id)
    consented = Family(connection, call).purposes if call else frozenset()
    standing = holds.standing(connection, [recording_id]) if recording.holds else {}
    return recording, consented, frozenset(hold.kind for hold in standing.get(recording_id, []))


def open_rendition(service: Service, recording: Recording, attempt: Attempt, now: datetime) -> SealedReader:
    """A reader of one rendition. Raises `IntegrityError` where it is not what was sealed."""
    if recording.dek is None or recording.key_id is None or attempt.head is None or attempt.sealed_bytes is None:
        raise RecordingNotFoundError
    return service.vault.reader(
        recording_id=recording.id,
        rendition=attempt.rendition,
        dek=service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, now),
        object_key=attempt.object_key,
        head=attempt.head,
        sealed_bytes=attempt.sealed_bytes,
    )


def _note(service: Service, recording_id: str, actor: Actor, purpose: str, act: Act, now: datetime) -> None:
    """One entry per person, recording and purpose in half an hour, however many ranges are asked for at once."""
    with service.database.write() as connection:
        if recordings.lock(connection, recording_id) is None:
            raise RecordingNotFoundError
        may_hear(connection, recording_id, purpose, now)
        if listenings.noted_since(connection, recording_id, actor.id, purpose, now - NOTED_ONCE_IN, act):
            return
        listenings.add(connection, recording_id, actor.id, actor.role, purpose, now, act)
        body = {"purpose": purpose, "role": actor.role}
        audit.append(connection, type=f"recording.{act}", actor=actor.id, subject=recording_id, body=body, now=now)
