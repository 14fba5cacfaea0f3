"""One attempt at a recording: decided and claimed under the call's lock, made without any, kept under it again.

Handles personal data and plaintext audio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from recorder import personal, sources
from recorder.audio import Cut, Limits, produce
from recorder.calls import settling
from recorder.calls.family import Family
from recorder.capture import storing
from recorder.capture.uploading import Claim, Uploading, claim
from recorder.consent import Decision
from recorder.erasure.discarding import discard
from recorder.errors import DirectoryUnavailableError
from recorder.faultpoints import reached
from recorder.ports import Service, Source
from recorder.retention import anchor, expires_at
from storage import audit
from storage.catalogue import calls as call_rows
from storage.catalogue import capturing, recordings
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.errors import DatabaseBusyError

LOOK_AGAIN = timedelta(minutes=5)  # at a recording that waits for news, should its news not have woken us

OpenMedia = Callable[[Source], AbstractContextManager[Iterator[bytes]]]


@dataclass(frozen=True)
class Job:
    """What a worker needs to capture one recording. Handles personal data."""

    recording: Recording
    call: Call
    decision: Decision
    claim: Claim
    data: dict[str, Any] = field(repr=False)

    @property
    def source(self) -> Source:
        return sources.place(self.recording, self.data)


def begin(
    service: Service, announced: Recording, now: datetime, *, pushed: bool = False
) -> Job | Literal["wait", "discard", "taken"]:
    """Decide on a recording and claim it; or say why not: it waits, it has been discarded, or it is another's.

    With `pushed`, its audio is being offered right now. The sender may offer it again after a failure, so one that has
    failed can be claimed too.
    """
    recording_id = announced.id
    unready = _unready(service, announced, now, wait=pushed)
    if unready is not None:
        return unready
    with service.database.write() as connection:
        call, recording = storing.locked(service, connection, announced.call_id, recording_id, now, wait=pushed)
        workable = ("announced", "capturing", "failed") if pushed else ("announced", "capturing")
        if call is None or recording is None or recording.state not in workable:
            return "taken"
        if not capturing.is_free(recording, now):
            return "taken"
        if pushed and recording.available_at is None:
            recordings.change(connection, recording_id, available_at=now)
            recording = recordings.lock(connection, recording_id) or recording
        family = Family(connection, call)
        decision = family.decided(service, recording, now)
        if decision.kind == "wait":
            _release(connection, recording, decision.until or now + LOOK_AGAIN)
            return "wait"
        data = personal.of_recording(service, call, recording, now)
        expiry = _expiry(service, family, recording)
        if decision.kind == "keep" and expiry is not None and expiry > now and call.segment is not None:
            claimed = claim(
                service, connection, recording, state="capturing", segment=call.segment, expires_at=expiry, now=now
            )
        else:
            reason = "expired" if decision.kind == "keep" else decision.reason
            entry = discard(service, connection, recording, data, reason, now)
            audit.append_many(connection, [entry], now=now)
            claimed = None
    if claimed is None:
        service.wake("source")
        return "discard"
    reached("capture.claimed")
    return Job(recording, call, decision, claimed, data)


def attempt(service: Service, job: Job, now: datetime, media: OpenMedia, *, within_s: float) -> None:
    """One attempt, from the first byte to the row that says stored. Whatever it raises, its uploads are gone."""
    dek = service.vault.new_dek()
    uploading = Uploading(service, job.claim, dek, now)
    try:
        with media(job.source) as chunks:
            key = service.keyring.day_key(storing.expiry_day(job.claim), now)  # while the first bytes are on their way
            produced = produce(
                uploading.guarded(chunks, service.settings.capture.max_bytes),
                cut=None if job.decision.whole else Cut(job.decision.keep, job.decision.mute),
                open_sinks=uploading.open,
                limits=Limits(service.settings.capture.max_seconds, within_s, least_ms(job.recording.duration_ms)),
                working=uploading.renew,
            )
        reached("capture.produced")
        kept = storing.Kept(dek, key, produced, uploading.commit(), job.decision, produced.lag_ms)
        storing.store(service, job.claim, job.data, kept, uploading.now)
    except BaseException:
        uploading.abort()
        raise
    reached("capture.stored")


def least_ms(announced_ms: int | None) -> int:
    """The least sound that must come where so much was announced: platforms round, and count by other clocks."""
    return 0 if announced_ms is None else max(0, announced_ms - announced_ms // 50 - 2000)


def give_back(service: Service, claimed: Claim, at: datetime) -> None:
    """Let go of a recording, to be looked at again."""
    free = {"lease": None, "lease_until": None, "next_try_at": at, "state": "announced"}
    with service.database.write() as connection:
        recordings.change(connection, claimed.recording_id, when=claimed.holds, **free)


def discard_claimed(service: Service, job: Job, reason: str, now: datetime) -> None:
    """Discard a recording that turned out, while it was captured, to hold nothing to keep."""
    with service.database.write() as connection:
        call_rows.lock(connection, job.call.id)
        recording = recordings.lock(connection, job.recording.id)
        if recording is not None and job.claim.held(recording):
            entry = discard(service, connection, recording, job.data, reason, now)
            audit.append_many(connection, [entry], now=now)


def _unready(service: Service, announced: Recording, now: datetime, *, wait: bool) -> Literal["wait", "taken"] | None:
    """Ask the directory about the call; say why its class stays unknown: the directory is away, or another has it."""
    try:
        settling.classify(service, announced.call_id, now, wait=wait)
    except DirectoryUnavailableError:
        with service.database.write() as connection:
            recording = recordings.get(connection, announced.id)
            if recording is None or recording.segment is not None:
                return None
            recordings.change(connection, announced.id, when={"state": "announced"}, next_try_at=now + LOOK_AGAIN)
        return "wait"
    except DatabaseBusyError:
        if wait:
            raise
        return "taken"
    return None


def _expiry(service: Service, family: Family, recording: Recording) -> datetime | None:
    """When it will expire: after the days it is kept, counted from the end of the call as it is known now."""
    call, days = family.call, family.kept_days(service)
    begun = anchor(call.ended_at, recording.ended_at, call.started_at or call.opened_at)
    return None if days is None or begun is None else expires_at(begun, days)


def _release(connection: Connection, recording: Recording, next_try_at: datetime) -> None:
    recordings.change(
        connection, recording.id, state="announced", lease=None, lease_until=None, next_try_at=next_try_at
    )
