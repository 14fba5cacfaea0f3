"""The uploads of one attempt at a recording. Handles plaintext audio: it goes into the vault and nowhere else.

Every object is on record before its first byte. The attempt holds a lease that it renews while bytes flow, in or out;
one that has lost it deletes what it wrote.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from recorder.audio import Rendition, Sink
from recorder.errors import LeaseLostError, MediaTooLargeError
from recorder.faultpoints import reached
from recorder.ports import Service
from storage.catalogue import attempts, recordings
from storage.catalogue.attempts import Attempt
from storage.catalogue.recordings import Recording
from storage.clock import new_id, running, utc_day
from storage.errors import StorageError
from storage.vault import SealedWriter

LEASE = timedelta(seconds=60)
RENEW_AFTER_S = 20.0
RENDITIONS: tuple[Rendition, ...] = ("original", "playback", "peaks")
ERASED_AT_ONCE = 100


@dataclass(frozen=True)
class Claim:
    """One worker's hold on a recording: what every step of its work must still find in the row."""

    call_id: str
    recording_id: str
    number: int
    lease: str
    state: str  # capturing, or stored while it is cut narrower
    segment: str
    expires_at: datetime
    until: datetime  # end of the first lease, as in the row's `next_try_at`, which changes with news
    rows: tuple[Attempt, ...]

    @property
    def holds(self) -> dict[str, object]:
        return {"state": self.state, "attempt": self.number, "lease": self.lease}

    def held(self, recording: Recording) -> bool:
        return all(getattr(recording, name) == value for name, value in self.holds.items())


def claim(
    service: Service,
    connection: Connection,
    recording: Recording,
    *,
    state: str,
    segment: str,
    expires_at: datetime,
    now: datetime,
) -> Claim:
    """Begin an attempt at a locked recording: its number, its lease and the names of its objects are on record."""
    number, lease = recording.attempt + 1, new_id("lse")
    if recording.attempt:
        attempts.lose(connection, recording.id, kept=state == "capturing")
    vault, day = service.vault, utc_day(expires_at)
    rows = tuple(
        Attempt(new_id("att"), recording.id, number, rendition, vault.object_key(segment, day), now, vault.upload_id())
        for rendition in RENDITIONS
    )
    attempts.add(connection, *rows)
    recordings.change(
        connection,
        recording.id,
        state=state,
        attempt=number,
        lease=lease,
        lease_until=now + LEASE,
        next_try_at=now + LEASE,  # should this worker die
    )
    return Claim(recording.call_id, recording.id, number, lease, state, segment, expires_at, now + LEASE, rows)


class Uploading:
    """Sealed writers for one claim's renditions. Ends with `commit` and a transaction of the caller's, or `abort`."""

    def __init__(self, service: Service, claimed: Claim, dek: bytes, now: datetime) -> None:
        self._service = service
        self._claim = claimed
        self._dek = dek
        self._clock = running(now)
        self._renewed = time.monotonic()
        self._rows = dict(zip(RENDITIONS, claimed.rows, strict=True))
        self._writers: dict[Rendition, SealedWriter] = {}

    @property
    def now(self) -> datetime:
        """The time the work has reached."""
        return self._clock()

    def open(self, wanted: Mapping[Rendition, str]) -> Mapping[Rendition, Sink]:
        """Start the uploads of these renditions (with their content types), which the claim has put on record."""
        for rendition, content_type in wanted.items():
            row = self._rows[rendition]
            writer = self._service.vault.writer(
                recording_id=self._claim.recording_id,
                rendition=rendition,
                dek=self._dek,
                object_key=row.object_key,
                upload_id=row.upload_id,
                tags={"segment": self._claim.segment, "expires": f"{utc_day(self._claim.expires_at):%Y-%m-%d}"},
            )
            self._writers[rendition] = writer
            self._rows[rendition] = replace(row, content_type=content_type)
        reached("capture.opened")
        return dict(self._writers)

    def guarded(self, chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
        """The bytes as they come; the lease is renewed meanwhile.

        Raises `MediaTooLargeError` beyond `max_bytes`, and `LeaseLostError`.
        """
        received = 0
        for chunk in chunks:
            received += len(chunk)
            if received > max_bytes:
                raise MediaTooLargeError
            self.renew()
            yield chunk
            reached("capture.receiving")

    def renew(self) -> None:
        """Renew the lease where it is time to. Raises `LeaseLostError`."""
        if time.monotonic() - self._renewed > RENEW_AFTER_S:
            with self._service.database.write() as connection:
                self._hold(connection)

    def commit(self) -> list[Attempt]:
        """Make the objects durable; returns the rows that say so, to be written in the transaction that keeps them.

        All at the same time, so that with a store far away the wait is only that for the slowest object.
        """
        done = []
        with ThreadPoolExecutor(len(RENDITIONS), thread_name_prefix="commit") as pool:
            sealed_ones = pool.map(SealedWriter.commit, self._writers.values())
        for rendition, sealed in zip(self._writers, sealed_ones, strict=True):
            done.append(
                replace(
                    self._rows[rendition],
                    state="kept",
                    head=sealed.head,
                    plain_bytes=sealed.plain_bytes,
                    sealed_bytes=sealed.sealed_bytes,
                )
            )
            reached("capture.uploaded")
        return done

    def abort(self) -> None:
        """Drop everything written, committed or not; what the store does not let go of now is erased later."""
        for writer in self._writers.values():
            with suppress(StorageError):
                writer.abort()
        with suppress(StorageError), self._service.database.write() as connection:
            attempts.lose_these(connection, [row.id for row in self._claim.rows])
        with suppress(StorageError):
            erase_lost(self._service, self._claim.recording_id)
            erase_buried(self._service, self._claim.rows)

    def _hold(self, connection: Connection) -> None:
        if not recordings.change(
            connection, self._claim.recording_id, when=self._claim.holds, lease_until=self.now + LEASE
        ):
            raise LeaseLostError
        self._renewed = time.monotonic()


def erase_lost(service: Service, recording_id: str | None = None) -> int:
    """Erase the objects of attempts given up; returns how many attempts are clean.

    Raises what the store raised, after everything else it lets go of is gone.
    """
    with service.database.read() as connection:
        lost = attempts.lost(connection, ERASED_AT_ONCE, recording_id=recording_id)
    clean: list[str] = []
    failure: StorageError | None = None
    for attempt in lost:
        try:
            service.vault.erase_object(attempt.object_key)
            clean.append(attempt.id)
        except StorageError as error:
            failure = error
            if not service.vault.answers():
                break
    if clean:
        with service.database.write() as connection:
            attempts.gone(connection, clean)
    if failure is not None:
        raise failure
    return len(clean)


def erase_buried(service: Service, rows: Sequence[Attempt]) -> None:
    """Erase the objects of attempts whose recording was erased while they were being written."""
    with service.database.read() as connection:
        buried = attempts.buried(connection, rows)
    for attempt in buried:
        service.vault.erase_object(attempt.object_key)
