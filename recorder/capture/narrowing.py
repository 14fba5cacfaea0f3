"""A late pause, refusal or withdrawal takes from what is stored: it is cut narrower or erased, and never widened again.

News that takes nothing away changes only what the recording is found by. The audio comes from our own sealed original,
since the platform's copy is gone. Handles plaintext audio and keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from recorder import erasure, personal
from recorder.actors import SYSTEM
from recorder.audio import Cut, Limits, produce
from recorder.calls.family import Family
from recorder.calls.relabelling import late, relabel
from recorder.capture import storing
from recorder.capture.uploading import Claim, Uploading, claim
from recorder.consent import Decision, narrowed
from recorder.consent.spans import UNTIL_END, Span, Spans
from recorder.errors import LeaseLostError
from recorder.faultpoints import reached
from recorder.ports import Service
from storage.catalogue import attempts, recordings
from storage.catalogue import calls as call_rows
from storage.catalogue.attempts import Attempt
from storage.catalogue.recordings import Recording
from storage.errors import ConflictError, IntegrityError

LOOK_AGAIN = timedelta(minutes=5)
RETRY = timedelta(seconds=30)
UNLIMITED = 1 << 40  # in length and size: as FLAC it may exceed the limits of capture, and those may change


@dataclass(frozen=True)
class _Job:
    recording: Recording
    before: Decision
    after: Decision
    lag_ms: int
    original: Attempt
    claim: Claim
    data: dict[str, Any] = field(repr=False)


def narrow(service: Service, stored: Recording, now: datetime) -> bool:
    """Look again at a stored recording and take away what is no longer covered; False where another is at it."""
    job = _begin(service, stored, now)
    if isinstance(job, str):
        erasure.erase(service, stored.id, reason=job, actor=SYSTEM, now=now)
        return True
    if job is None:
        relabel(service, stored, now)
        return True
    recording = job.recording
    key = service.keyring.key(recording.key_id or "", now)
    old_dek = service.vault.unwrap_dek(recording.id, key.id, recording.dek or b"", now)
    dek = service.vault.new_dek()
    uploading = Uploading(service, job.claim, dek, now)
    try:
        produced = produce(
            uploading.guarded(_original(service, job, old_dek), UNLIMITED),
            cut=recut(job.before.keep, job.after, job.lag_ms),
            open_sinks=uploading.open,
            limits=Limits(UNLIMITED, service.settings.capture.fetch_timeout_s),
            working=uploading.renew,
        )
        reached("capture.produced")
        lag_ms = max(job.lag_ms, produced.lag_ms)
        kept = storing.Kept(dek, key, produced, uploading.commit(), job.after, lag_ms)
        _replace(service, job, kept, uploading.now)
    except storing.NothingKeptError:
        uploading.abort()
        erasure.erase(service, recording.id, reason="uncovered", actor=SYSTEM, now=now)
    except LeaseLostError:
        uploading.abort()
        return False
    except BaseException:
        uploading.abort()
        _again(service, job.claim, uploading.now + RETRY)
        raise
    return True


def recut(before: Spans, after: Decision, lag_ms: int = 0) -> Cut:
    """`after`, on the timeline of what `before` has left of the recording.

    Each earlier cut dropped up to two samples more than its milliseconds say, so sound behind it may stand that much
    too early: kept spans end, and silences begin, a millisecond sooner per cut. Sound cut out of an MP3 stands up to
    `lag_ms` too late, until the first kept span whose beginning was shortened by `lag_ms`; behind each such beginning
    it may stand as much too early.
    """
    offset, dropped, keep, mute = 0, 0, [], []
    for index, (start, stop) in enumerate(before):
        dropped += lag_ms if start > 0 else 0
        late = 0 if dropped else lag_ms
        slack = dropped + (index + 1 if before != ((0, UNTIL_END),) else 0)
        for first, last in _inside(after.keep, (start, stop)):
            begin, end = offset + first - start, offset + last - start
            keep.append((begin if first == start else begin + late, end if last == stop else end - slack))
        for first, last in _inside(after.mute, (start, stop)):
            mute.append((max(0, offset + first - start - slack), offset + last - start + late))
        offset += stop - start
    return Cut(tuple(span for span in keep if span[0] < span[1]), tuple(mute))


def _inside(spans: Spans, window: Span) -> Iterator[Span]:
    for start, stop in spans:
        if start < window[1] and stop > window[0]:
            yield max(start, window[0]), min(stop, window[1])


def _begin(service: Service, stored: Recording, now: datetime) -> _Job | str | None:
    """What is to be done: a job, the reason for an erasure, or nothing."""
    with service.database.write() as connection:
        call, recording = storing.locked(service, connection, stored.call_id, stored.id, now)
        if call is None or recording is None or recording.state != "stored" or recording.spans is None:
            return None
        before = _decision(recording.spans)
        after = narrowed(before, Family(connection, call).decided(service, recording, now))
        if after.kind == "discard":
            recordings.change(connection, recording.id, next_try_at=now + LOOK_AGAIN)
            return after.reason
        original = attempts.kept(connection, recording.id).get("original")
        if after.kind == "wait" or (after.keep, after.mute) == (before.keep, before.mute) or original is None:
            later = (after.until or now + LOOK_AGAIN) if after.kind == "wait" else None
            recordings.change(connection, recording.id, next_try_at=later)
            return None
        if recording.segment is None or recording.expires_at is None:
            raise IntegrityError("a stored recording without class or expiry")
        data = personal.of_recording(service, call, recording, now)
        claimed = claim(
            service,
            connection,
            recording,
            state="stored",
            segment=recording.segment,
            expires_at=recording.expires_at,
            now=now,
        )
        return _Job(recording, before, after, recording.spans.get("lag_ms", 0), original, claimed, data)


def _original(service: Service, job: _Job, dek: bytes) -> Iterator[bytes]:
    reader = service.vault.reader(
        recording_id=job.recording.id,
        rendition="original",
        dek=dek,
        object_key=job.original.object_key,
        head=job.original.head or b"",
        sealed_bytes=job.original.sealed_bytes or 0,
    )
    return (bytes(piece) for piece in reader.read(0, reader.size))


def _replace(service: Service, job: _Job, kept: storing.Kept, now: datetime) -> None:
    """Put the narrower audio in the place of the wider, under a new data key: the old one opens nothing kept."""
    if kept.produced.frames == 0:
        raise storing.NothingKeptError
    with service.database.write() as connection:
        call = call_rows.lock(connection, job.recording.call_id)
        recording = recordings.lock(connection, job.recording.id)
        if call is None or recording is None:
            raise LeaseLostError
        if (recording.key_id, recording.dek) != (job.recording.key_id, job.recording.dek):
            raise ConflictError("the recording was moved to another day's key")
        service.keyring.require_open(connection, kept.key.id)
        own = storing.own_data(call, {**job.data, **late(service, call, now)}, kept.produced)
        news = recording.next_try_at is not None and recording.next_try_at != job.claim.until
        values = {"next_try_at": recording.next_try_at if news else None}
        storing.put(service, connection, job.claim, kept, own, values)
        body = {"attempt": job.claim.number, "reason": job.after.reason}
        storing.log(connection, "recording.narrowed", recording.id, body, now)
    service.vault.forget(job.recording.id)
    service.wake("leftovers")


def _again(service: Service, claimed: Claim, at: datetime) -> None:
    with service.database.write() as connection:
        recordings.change(
            connection, claimed.recording_id, when=claimed.holds, lease=None, lease_until=None, next_try_at=at
        )


def _decision(spans: dict[str, Any]) -> Decision:
    pairs = {name: tuple((int(a), int(b)) for a, b in spans.get(name, [])) for name in ("keep", "mute")}
    return Decision("keep", "stored", pairs["keep"], pairs["mute"])
