"""What a person who came in by link and code gets: facts, audio, who listened, and the way to take the yes back.

Handles plaintext audio. Whatever is asked for must be among the recordings their request was granted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog

from recorder import access_links, erasure, listening, retention, scripts
from recorder.access_links import Visit
from recorder.actors import Actor
from recorder.calls.family import Family
from recorder.disclosure import mp3, waveform, withdrawing
from recorder.disclosure.paging import Leaf, leaf, place
from recorder.disclosure.withdrawing import Left
from recorder.erasure import Choice, Withdrawal
from recorder.errors import ForbiddenError, RecorderError, RecordingNotFoundError
from recorder.finding import past
from recorder.listening import Act, Listening
from recorder.notices import last_whole_day
from recorder.ports import Service
from recorder.scripts import Script
from recorder.settings import Organisation
from recorder.subject_requests import course
from storage.catalogue import attempts, calls, holds, listenings, recordings, requests, tombstones
from storage.catalogue.attempts import Attempt
from storage.catalogue.evidence import Consent
from storage.catalogue.listenings import Listened
from storage.catalogue.recordings import Recording

PURPOSE = "access"
PAGE = 10  # calls: each with a player, a drawing and its facts
MAX_PEAKS_BYTES = 8_000_000  # beyond any recording that is kept

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Disclosed:
    """One recording as its person sees it. `recording` is None where it has been deleted."""

    id: str
    recording: Recording | None
    original: Attempt | None = None
    playback: Attempt | None = None
    consent: Consent | None = None
    purposes: Sequence[str] = ()
    told: str | None = None  # the words the person heard before saying yes
    held: frozenset[str] = frozenset()
    closed: bool = False  # a hold keeps it from being heard, by them too
    listened: Sequence[Listened] = ()
    bars: Sequence[Sequence[float]] = ()
    certificate_id: str | None = None

    @property
    def place(self) -> str:
        """Where it stands in their list."""
        return place(self.recording.call_started_at if self.recording else None, self.id)

    @property
    def withdrawn(self) -> bool:
        """Whether the consent was taken back, and it only waits for the copy."""
        return self.recording is not None and self.recording.erase_reason is not None

    @property
    def mp3_bytes(self) -> int | None:
        """How large the copy as MP3 is: the player's own, or what a recording kept as WAV will come to."""
        played = self.playback or self.original
        if played is None or self.recording is None:
            return None
        if played.content_type == mp3.CONTENT_TYPE:
            return played.plain_bytes
        return (self.recording.duration_ms or 0) * mp3.BYTES_PER_MS * min(self.recording.channels or 1, 2)


@dataclass(frozen=True)
class Page:
    items: Sequence[Disclosed]
    leaf: Leaf
    left: Left  # of all their pages
    organisation: Organisation
    link_expires_at: datetime
    link_last_day: date


def page(service: Service, visit: Visit, now: datetime, at: str | None = None) -> Page:
    """A page of what the person is shown, the oldest call first. Looking at it is not listening."""
    with service.database.read() as connection:
        granted = [one for one in requests.listed(connection, visit.link.request_id) if one.match.approved]
        here = leaf(granted, at, PAGE)
        ids = [one.match.recording_id for one in here.items]
        rows = {one: recordings.get(connection, one) for one in ids}
    items = [_disclosed(service, one, row, now) for one, row in rows.items()]
    brands = {one.brand for one in granted if one.there}
    speaker = service.settings.organisation_for(brands.pop() if len(brands) == 1 else None)
    left = withdrawing.left(service, visit, now)
    return Page(items, here, left, speaker, visit.link.expires_at, last_whole_day(visit.link.expires_at))


def one(service: Service, visit: Visit, recording_id: str, now: datetime) -> Disclosed:
    """One of them. Raises `RecordingNotFoundError` where it is not theirs, or gone."""
    _granted(service, visit, recording_id)
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
    found = _disclosed(service, recording_id, row, now)
    if found.recording is None:
        raise RecordingNotFoundError
    return found


def audio(
    service: Service, visit: Visit, recording_id: str, rendition: str, now: datetime, act: Act = "listened"
) -> Listening:
    """Their recording, to be played or saved. The stream ends with the session, the link, or the recording."""
    _granted(service, visit, recording_id)
    actor = Actor(visit.link.id, "customer")
    heard = listening.open_for(
        service, recording_id, actor=actor, purpose=PURPOSE, rendition=rendition, now=now, act=act
    )
    access_links.keep_open(service, visit, now)

    def recheck(moment: datetime) -> None:
        here = access_links.visit(service, visit.cookie, moment)
        heard.recheck(moment)
        access_links.keep_open(service, here, moment)

    return Listening(heard.reader, heard.size, heard.content_type, recheck, heard.etag)


def withdraw(service: Service, visit: Visit, recording_id: str, choice: Choice | None, now: datetime) -> Withdrawal:
    """Take back the consent to the call. Raises `ChoiceNeededError` until they say whether a copy comes first."""
    _granted(service, visit, recording_id)
    done = erasure.withdraw(service, recording_id, Actor(visit.link.id, "customer"), now, choice)
    if not done.waiting:
        course.close_if_nothing_is_left(service, visit.link.request_id, Actor(visit.link.id, "customer"), now)
    return done


def _granted(service: Service, visit: Visit, recording_id: str) -> None:
    with service.database.read() as connection:
        if not requests.is_approved(connection, visit.link.request_id, recording_id):
            raise RecordingNotFoundError


def _disclosed(service: Service, recording_id: str, row: Recording | None, now: datetime) -> Disclosed:
    if row is None or row.state != "stored" or past(row, now):
        with service.database.read() as connection:
            stone = tombstones.find(connection, recording_id)
        return Disclosed(recording_id, None, certificate_id=stone.certificate_id if stone else None)
    with service.database.read() as connection:
        kept = attempts.kept(connection, recording_id)
        call = calls.get(connection, row.call_id)
        family = Family(connection, call) if call else None
        consent = family.yes(service, now) if family else None
        script = scripts.find(connection, consent.script) if consent and consent.script else None
        purposes = family.purposes if family else frozenset()
        standing = holds.standing(connection, [recording_id]).get(recording_id, [])
        heard = listenings.of_recording(connection, recording_id)
    held = frozenset(hold.kind for hold in standing)
    closed = _closed(row, purposes, held, now)
    return Disclosed(
        id=recording_id,
        recording=row,
        original=kept.get("original"),
        playback=kept.get("playback"),
        consent=consent,
        purposes=sorted(purposes),
        told=_told(service, script, call.brand if call else None) if script else None,
        held=held,
        closed=closed,
        listened=heard,
        bars=[] if closed else _bars(service, row, kept.get("peaks"), now),
    )


def _closed(row: Recording, purposes: frozenset[str], held: frozenset[str], now: datetime) -> bool:
    try:
        retention.readable(row, PURPOSE, now, consented=purposes, held_for=held)
    except (ForbiddenError, RecordingNotFoundError):
        return True
    return False


def _told(service: Service, script: Script, brand: str | None) -> str:
    name = service.settings.organisation_for(brand).name
    return script.say("inform" if script.is_prompt else "ask", brand=name, agent="…")


def _bars(service: Service, row: Recording, peaks: Attempt | None, now: datetime) -> list[list[float]]:
    """The outline; a page without it is better than none."""
    if peaks is None:
        return []
    try:
        reader = listening.open_rendition(service, row, peaks, now)
        if reader.size > MAX_PEAKS_BYTES:
            return []
        return waveform.bars(b"".join(reader.read(0, reader.size)))
    except RecorderError as error:
        log.warning("waveform.not_drawn", recording_id=row.id, code=error.code)
        return []
