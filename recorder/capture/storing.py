"""How a capture ends, each way in one transaction: stored, discarded, put off, failed. Handles personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from recorder import calls, personal, sources, subscriptions
from recorder.actors import SYSTEM
from recorder.audio import Produced
from recorder.calls.family import Family
from recorder.calls.relabelling import late
from recorder.capture.uploading import Claim
from recorder.consent import Decision, narrowed
from recorder.consent.spans import WHOLE
from recorder.errors import AudioError, LeaseLostError, PlatformError
from recorder.ports import Service
from storage import audit
from storage.catalogue import attempts, capturing, forecast, recordings, relatives, tasks
from storage.catalogue import calls as call_rows
from storage.catalogue.attempts import Attempt
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.clock import utc_day
from storage.keys import Key

FIRST_WAIT_S, LONGEST_WAIT_S = 2, 1800
TRIES_AWAY = 56  # a platform that is away: about a day
TRIES_BROKEN = 12  # audio that is not there yet, or not whole: about an hour
FAILED = "capture_failed"


class NarrowedMeanwhileError(Exception):
    """What is known by now keeps less than was made, or nothing."""


class NothingKeptError(Exception):
    """The spans that were consented to hold no sound."""


@dataclass(frozen=True)
class Kept:
    """What an attempt made: sealed objects, not yet the recording's."""

    dek: bytes = field(repr=False)
    key: Key = field(repr=False)
    produced: Produced
    rows: list[Attempt]
    decision: Decision
    lag_ms: int = 0  # what was cut out of an MP3 stands up to so much later than it was said


def expiry_day(claimed: Claim) -> date:
    return utc_day(claimed.expires_at)


def store(service: Service, claimed: Claim, data: Mapping[str, Any], kept: Kept, now: datetime) -> None:
    """Let what an attempt made become the recording, if the claim is still held and the decision still the same.

    Raises `LeaseLostError`, `NarrowedMeanwhileError` or `NothingKeptError`, or `KeyDestroyedError` where the day's
    key is being closed; then nothing has changed.
    """
    if kept.produced.frames == 0:
        raise NothingKeptError
    with service.database.write() as connection:
        call, recording = _still_same(service, connection, claimed, kept.decision, now)
        service.keyring.require_open(connection, kept.key.id)
        day = f"{expiry_day(claimed):%Y%m%d}"
        own = own_data(call, {**data, **late(service, call, now)}, kept.produced)
        values = {
            "state": "stored",
            "reason": None,
            "stored_at": now,
            "segment": claimed.segment,
            "direction": call.direction,
            "queue": call.queue,
            "call_started_at": call.started_at or call.opened_at,
            "call_ended_at": call.ended_at,
            "expires_at": claimed.expires_at,
            "expiry_day": day,
            "key_id": kept.key.id,
            "tries": 0,
            "next_try_at": None,
        }
        put(service, connection, claimed, kept, own, values)
        capturing.note_key_use(connection, claimed.recording_id, day)
        forecast.adjust(connection, day, +1)
        sources.note(service, connection, recording, dict(data), "kept", now)
        call_rows.change(connection, call.id, settle_at=now)
        subscriptions.tell(service, connection, "recording.stored", [{"recording_id": claimed.recording_id}], now)
        body = {
            "segment": claimed.segment,
            "attempt": claimed.number,
            "renditions": sorted(row.rendition for row in kept.rows),
            "cut": not kept.decision.whole,
        }
        if kept.decision.keep != WHOLE:
            body["reason"] = "cut"  # cuts are counted by this (P1): normally a recording begins at the yes
        log(connection, "recording.stored", claimed.recording_id, body, now)


def put(
    service: Service,
    connection: Connection,
    claimed: Claim,
    kept: Kept,
    own: dict[str, Any],
    values: Mapping[str, object],
) -> None:
    """Write the columns that describe the audio kept, and make its objects the ones that are read."""
    done = recordings.change(
        connection,
        claimed.recording_id,
        when=claimed.holds,
        **values,
        lease=None,
        lease_until=None,
        spans={
            "keep": [list(span) for span in kept.decision.keep],
            "mute": [list(span) for span in kept.decision.mute],
        }
        | ({"lag_ms": kept.lag_ms} if kept.lag_ms else {}),
        channels=kept.produced.channels,
        duration_ms=kept.produced.duration_ms,
        size_bytes=kept.produced.size_bytes,
        content_type=kept.produced.content_type,
        dek=service.vault.wrap_dek(kept.dek, claimed.recording_id, kept.key),
        sealed=personal.seal(kept.dek, "recordings", claimed.recording_id, own),
    )
    if not done:
        raise LeaseLostError
    begun = {row.id for row in kept.rows}
    attempts.keep(connection, kept.rows)
    attempts.gone(connection, [row.id for row in claimed.rows if row.id not in begun])
    if claimed.number > 1:
        attempts.lose(connection, claimed.recording_id, kept=True, but=begun)
    recordings.index_marks(connection, claimed.recording_id, personal.marks(kept.key, own))


def own_data(call: Call, data: Mapping[str, Any], produced: Produced) -> dict[str, Any]:
    """What is personal about a stored recording. Where it lay at its platform is left out: it is not fetched again."""
    names = ("account", "agent", "case", "platform_call_id", "platform_recording_id", "channel_map")
    return {name: data.get(name) for name in names} | {
        "phone": data.get("phone") or personal.customer_number(call.direction, dict(data)),
        "sha256": produced.sha256.hex(),
        "received_sha256": data.get("received_sha256") or produced.received_sha256.hex(),
    }


def put_off(service: Service, claimed: Claim, error: PlatformError | AudioError, now: datetime) -> None:
    """Have a failed attempt tried again, later each time; when that is no use any more, tell people."""
    with service.database.write() as connection:
        recording = recordings.lock(connection, claimed.recording_id)
        if recording is None:
            return
        tries = recording.tries + 1
        most = TRIES_AWAY if isinstance(error, PlatformError) else TRIES_BROKEN
        free = {"lease": None, "lease_until": None, "tries": tries}
        if error.retryable and tries < most:
            wait = timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(tries - 1, 20)))
            again = {"state": "announced", "reason": error.code, "next_try_at": now + wait}
            recordings.change(connection, recording.id, when=claimed.holds, **free, **again)
        elif recordings.change(
            connection, recording.id, when=claimed.holds, **free, state="failed", reason=error.code, next_try_at=None
        ):
            tasks.open_task(connection, FAILED, recording.id, now)
            log(connection, "recording.failed", recording.id, {"reason": error.code}, now)


def locked(
    service: Service, connection: Connection, call_id: str, recording_id: str, now: datetime, *, wait: bool = True
) -> tuple[Call | None, Recording | None]:
    """A recording and its call, both locked, with everything applied that has come in about them.

    The calls linked to it are locked too: what is said in them may count for it. Returns nothing where more has come in
    than is applied at one go and, without `wait`, where another worker has one of these calls.
    """
    locked = relatives.lock(connection, [call_id], skip_locked=not wait)
    call = call_rows.get(connection, call_id) if locked else None
    if call is None:
        return None, None
    if call.ref is not None and calls.unread(service, connection, call):
        calls.apply_call(service, connection, call.ref, now)
        if calls.unread(service, connection, call):
            service.wake("apply")
            return None, None
        call = call_rows.get(connection, call_id)
    return call, recordings.lock(connection, recording_id)


def _still_same(
    service: Service, connection: Connection, claimed: Claim, decision: Decision, now: datetime
) -> tuple[Call, Recording]:
    """The locked call and recording, if nobody took over and what has come in meanwhile takes nothing away."""
    call, recording = locked(service, connection, claimed.call_id, claimed.recording_id, now)
    if call is None or recording is None or not claimed.held(recording):
        raise LeaseLostError
    after = narrowed(decision, Family(connection, call).decided(service, recording, now))
    if (after.kind, after.keep, after.mute) != ("keep", decision.keep, decision.mute):
        raise NarrowedMeanwhileError
    return call, recording


def log(connection: Connection, kind: str, subject: str, body: dict[str, Any], now: datetime) -> None:
    audit.append(connection, type=kind, actor=SYSTEM.id, subject=subject, body=body, now=now)
