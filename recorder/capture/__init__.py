"""Capture: decide, fetch, cut, seal, upload, commit, and note the platform's copy for deletion.

Whoever holds the lease works; every finishing step depends on it, so that of two workers only one can keep what it
made. A process that dies anywhere leaves an attempt on record: the next one starts over and erases what the first had
uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import structlog

from recorder.capture import narrowing, storing
from recorder.capture.attempting import Job, OpenMedia, attempt, begin, discard_claimed, give_back
from recorder.capture.uploading import erase_lost
from recorder.errors import AudioError, LeaseLostError, PlatformError
from recorder.ports import Media, Service, Source
from storage.catalogue import capturing
from storage.catalogue.recordings import Recording
from storage.clock import running
from storage.errors import KeyDestroyedError, RecorderError, StorageError

WHILE_AWAY, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)
OTHERS = 16  # so many more are looked at: other workers may have those due longest
CHUNK_BYTES = 512 * 1024
HTTP_OK = 200

log = structlog.get_logger(__name__)


def capture_due(service: Service, now: datetime, limit: int = 10) -> int:
    """Look at recordings that are due and take them on; returns how many."""
    clock, done = running(now), 0
    with service.database.read() as connection:
        due = capturing.due(connection, now, limit + OTHERS)
    for recording in due:
        done += _tried(service, recording, clock())
        if done == limit:
            break
    return done


def erase_leftovers(service: Service) -> bool:
    """Erase some of what lost attempts left, and say whether there is more that would go."""
    try:
        return erase_lost(service) > 0
    except StorageError as error:
        log.warning("capture.leftovers", code=error.code)
        return False


def capture_one(service: Service, recording: Recording, now: datetime) -> bool:
    """Take a recording, read a while ago, as far as it can go now; False where another worker has it.

    Raises `StorageError` where store, key ring or database are away or full: nothing is lost, and it is tried again.
    """
    if not capturing.is_free(recording, now):
        return False
    if recording.state == "stored":
        return narrowing.narrow(service, recording, now)
    job = begin(service, recording, now)
    if not isinstance(job, Job):
        return job != "taken"
    return run(service, job, now, fetched(service, now))


def _tried(service: Service, recording: Recording, now: datetime) -> bool:
    """Whatever is wrong with one recording, the others go on. The older it is, the longer it waits for the next try."""
    try:
        return capture_one(service, recording, now)
    except RecorderError as error:
        log.warning("capture.delayed", recording_id=recording.id, code=error.code)
    except Exception:
        log.exception("capture.delayed", recording_id=recording.id)
    wait = min(max(WHILE_AWAY, (now - (recording.available_at or now)) / 4), LONGEST_WAIT)
    with suppress(StorageError), service.database.write() as connection:
        capturing.wait(connection, recording, now + wait)
    return False


def run(service: Service, job: Job, now: datetime, media: OpenMedia) -> bool:
    """Do a claimed job. Every failure leaves the recording free again, and nothing of this attempt in the store."""
    clock = running(now)
    try:
        attempt(service, job, now, media, within_s=service.settings.capture.fetch_timeout_s)
    except LeaseLostError:
        return False
    except (PlatformError, AudioError) as error:
        storing.put_off(service, job.claim, error, clock())
        return True
    except storing.NarrowedMeanwhileError:
        give_back(service, job.claim, clock())
        service.wake("capture")
    except storing.NothingKeptError:
        discard_claimed(service, job, "uncovered", clock())
    except KeyDestroyedError:
        give_back(service, job.claim, clock())  # its day is over: the next look says so
    except Exception:
        give_back(service, job.claim, clock() + WHILE_AWAY)
        raise
    service.wake("source")
    return True


def fetched(service: Service, now: datetime) -> OpenMedia:
    """How audio comes in when we fetch it."""

    @contextmanager
    def opened(source: Source) -> Iterator[Iterator[bytes]]:
        platform = service.platforms.get(source.platform)
        if platform is None:
            raise PlatformError("the platform is not configured")
        with platform.fetch(source, now) as media:
            _require_ok(media)
            yield media.chunks(CHUNK_BYTES)

    return opened


def _require_ok(media: Media) -> None:
    if media.status != HTTP_OK:
        raise PlatformError(f"the platform answered {media.status}")
