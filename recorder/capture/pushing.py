"""Audio that an exchange pushes to us instead of letting us fetch it. Decided first, then taken as a stream.

Handles plaintext audio. Without a consent not one byte is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from recorder import calls, personal
from recorder.calls import announcing
from recorder.capture import attempting, storing
from recorder.errors import (
    AudioUnsupportedError,
    CallNotFoundError,
    ConsentMissingError,
    ConsentPendingError,
    InvalidEventError,
    InvalidInputError,
    LeaseLostError,
    MediaTooLargeError,
    TooLargeError,
)
from recorder.events import Event
from recorder.platforms.fields import plausible
from recorder.ports import Service, Source
from recorder.settings import Settings
from recorder.sources import recording_ref
from storage import inbox
from storage.catalogue import calls as call_rows
from storage.catalogue import recordings, seen
from storage.catalogue.recordings import Recording
from storage.clock import new_id

PLATFORM = "standard"  # the only one that pushes
PushResult = Literal["created", "same", "conflict"]


def longest(settings: Settings) -> float:
    """Seconds that a push may take: those of a fetch and the longest call, as it may come at the speed of speech."""
    return settings.capture.max_seconds + settings.capture.fetch_timeout_s


def push(
    service: Service,
    platform_call_id: str,
    platform_recording_id: str,
    content_type: str,
    chunks: Iterator[bytes],
    started_at: datetime | None,
    now: datetime,
) -> PushResult:
    """Take a recording's audio: `created`; `same` where these bytes are kept already, `conflict` where others are.

    Raises `ConsentPendingError` (ask again), `ConsentMissingError` (final), `CallNotFoundError`, `InvalidInputError`
    where nobody has said when the recording began, `AudioError`, `TooLargeError`; then nothing is kept.
    """
    if not content_type.startswith("audio/") and content_type != "application/octet-stream":
        raise AudioUnsupportedError("the content type is not one of audio")
    recording = _announced(service, platform_call_id, platform_recording_id, started_at, now)
    if recording.state == "stored":
        return _compared(service, recording, chunks, now)
    if recording.state in announcing.GONE:
        raise ConsentMissingError
    job = attempting.begin(service, recording, now, pushed=True)
    if isinstance(job, attempting.Job):
        _take(service, job, chunks, now)
        return "created"
    if job == "wait":
        raise ConsentPendingError
    if job == "discard":
        raise ConsentMissingError
    raise LeaseLostError


def _announced(
    service: Service, platform_call_id: str, platform_recording_id: str, started_at: datetime | None, now: datetime
) -> Recording:
    call_ref = inbox.ref(service.keyring, PLATFORM, platform_call_id)
    ref = recording_ref(service, PLATFORM, platform_recording_id)
    with service.database.write() as connection:
        call_id = calls.apply_call(service, connection, call_ref, now)
        recording = recordings.by_ref(connection, ref)
        if recording is None and seen.has(connection, ref):
            raise ConsentMissingError
    if call_id is None or (recording is not None and recording.call_id != call_id):
        raise CallNotFoundError
    data = {"recording_id": platform_recording_id}
    if recording is not None and announcing.missed(recording):
        there = Event("recording.available", PLATFORM, platform_call_id, new_id("psh"), None, data=data)
        recording = _told(service, there, ref, now)
    if recording is not None and (recording.started_at is not None or recording.state in announcing.GONE):
        return recording
    if started_at is None:
        raise InvalidInputError("needs an earlier recording.started, or started_at")
    try:
        plausible(started_at, now)
    except InvalidEventError as exc:
        raise InvalidInputError(f"started_at {exc}") from exc
    key = f"push:{platform_recording_id}"
    return _told(service, Event("recording.started", PLATFORM, platform_call_id, key, started_at, data=data), ref, now)


def _told(service: Service, event: Event, ref: bytes, now: datetime) -> Recording:
    """The recording after an event about it."""
    calls.register(service, event, now)
    with service.database.read() as connection:
        recording = recordings.by_ref(connection, ref)
    if recording is None:
        raise ConsentMissingError
    return recording


def _take(service: Service, job: attempting.Job, chunks: Iterator[bytes], now: datetime) -> None:
    @contextmanager
    def arriving(_source: Source) -> Iterator[Iterator[bytes]]:
        yield chunks

    try:
        attempting.attempt(service, job, now, arriving, within_s=longest(service.settings))
        service.wake("source")  # a copy the exchange may still hold
    except storing.NothingKeptError:
        attempting.discard_claimed(service, job, "uncovered", now)
        raise ConsentMissingError from None
    except LeaseLostError:
        raise
    except BaseException as error:
        attempting.give_back(service, job.claim, now + attempting.LOOK_AGAIN)
        if isinstance(error, storing.NarrowedMeanwhileError):
            raise ConsentPendingError from None
        if isinstance(error, MediaTooLargeError):
            raise TooLargeError from None
        raise


def _compared(service: Service, recording: Recording, chunks: Iterator[bytes], now: datetime) -> PushResult:
    with service.database.read() as connection:
        call = call_rows.get(connection, recording.call_id)
    known = personal.of_recording(service, call, recording, now).get("received_sha256") if call else None
    digest, received = hashlib.sha256(), 0
    for chunk in chunks:
        received += len(chunk)
        if received > service.settings.capture.max_bytes:
            return "conflict"
        digest.update(chunk)
    return "same" if digest.hexdigest() == known else "conflict"
