"""Recordings as platforms announce them: each has a row once it is heard of, and its own details sealed in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from recorder import personal, sources
from recorder.actors import SYSTEM
from recorder.calls.case import Case, plausible
from recorder.errors import InvalidEventError
from recorder.events import UNSAID, Event, ReceivedEvent
from recorder.sources import recording_ref
from storage.catalogue import calls, recordings, seen, tasks
from storage.catalogue.recordings import Recording
from storage.catalogue.relatives import UNDECIDED
from storage.clock import new_id

GONE = ("discarded", "erasing")
ANOTHERS = "the recording is another call's"
MISSING = {"recording.absent": "platform_absent", "recording.failed": "platform_failed"}  # why nothing is there


def announced(case: Case, received: ReceivedEvent) -> Recording | None:
    """The recording an event is about, its row made if it is new; None for one that was here once and is gone.

    Raises `InvalidEventError` where it is a call's that is not linked to the event's.
    """
    event = received.event
    ref = recording_ref(case.service, event.platform, str(event.recording_id))
    known = recordings.lock_by_ref(case.connection, ref, case.call.id) or _of_linked_call(case, ref)
    if known is None:
        if seen.has(case.connection, ref):
            return None
        known = _new(case, event, ref)
        if not recordings.insert(case.connection, known):  # another call's worker made it at this very moment
            raise InvalidEventError(ANOTHERS)
        case.note("recording.announced", recording=known.id)
    _narrow_cause(case, known, event)
    return known


def _of_linked_call(case: Case, ref: bytes) -> Recording | None:
    """The recording, locked, where it is a linked call's. Another call's is not locked, as that call is not either:
    two calls that each name the other's recording would wait for each other.
    """
    known = recordings.by_ref(case.connection, ref)
    if known is None:
        return None
    if known.call_id not in calls.family(case.connection, case.call.id):
        raise InvalidEventError(ANOTHERS)
    return recordings.lock(case.connection, known.id)


def timed(case: Case, recording: Recording, edge: str, at: datetime) -> None:
    """While a recording waits, take when it started (if not known yet) or stopped as its beginning or end."""
    if edge == "recording.started" and recording.started_at is None:
        recordings.change(case.connection, recording.id, when={"state": "announced"}, started_at=at)
    if edge == "recording.stopped":
        recordings.change(case.connection, recording.id, when={"state": "announced"}, ended_at=at)


def available(case: Case, received: ReceivedEvent) -> None:
    """Note that a recording can be fetched, even one given up; if gone here, have its copy deleted at the source."""
    recording, event = announced(case, received), received.event
    data = event.data
    if recording is None or (recording.state in GONE and not missed(recording)):
        sources.leave(case.service, case.connection, event, "gone", case.now, recording=recording)
        case.jobs.add("source")
        return
    given_up = recording.state == "failed" or missed(recording)
    if not given_up and (recording.state != "announced" or recording.available_at is not None):
        _moved(case, recording, event)
        return
    started_at = datetime.fromisoformat(data["started_at"]) if data.get("started_at") else recording.started_at
    duration_ms = data.get("duration_ms")
    ended_at = recording.ended_at
    if started_at is not None and duration_ms is not None:
        ended_at = plausible(started_at + timedelta(milliseconds=duration_ms), received.received_at)
    own = _own(event)
    if own["channel_map"] is None:
        own["channel_map"] = _details(case, recording).get("channel_map")
    recordings.change(
        case.connection,
        recording.id,
        when={"state": recording.state},
        state="announced",
        reason=None,
        tries=0,
        started_at=started_at,
        ended_at=ended_at,
        available_at=received.received_at,
        duration_ms=duration_ms,
        channels=data.get("channels"),
        content_type=data.get("content_type"),
        sealed=personal.seal(_secret(case, recording), "recordings", recording.id, own),
        next_try_at=case.now,
    )
    for task in ("capture_failed", "platform_failed") if given_up else ():
        tasks.close_task(case.connection, task, recording.id, SYSTEM.id, case.now)


def missed(recording: Recording) -> bool:
    """Whether it is gone only because its platform said that it has none."""
    return recording.state == "discarded" and recording.reason in MISSING.values()


def laid_out(case: Case, recording: Recording, channel_map: dict[str, str]) -> None:
    """Note who is on which channel of a recording that waits, unless that is known: `available` has the last word."""
    if recording.state in UNDECIDED and _details(case, recording).get("channel_map") is None:
        _add(case, recording, channel_map=channel_map)


def _moved(case: Case, recording: Recording, event: Event) -> None:
    """Note another address for the same recording, say because the first has run out: the next try goes there."""
    url = event.data.get("url")
    if recording.state in UNDECIDED and url is not None and _details(case, recording).get("url") != url:
        _add(case, recording, url=url)


def _details(case: Case, recording: Recording) -> dict[str, Any]:
    """What a recording that is not stored adds to its call's sealed column: see `_own`."""
    return personal.unseal(_secret(case, recording), "recordings", recording.id, recording.sealed)


def _add(case: Case, recording: Recording, **told: Any) -> None:
    own = _details(case, recording) | told
    sealed = personal.seal(_secret(case, recording), "recordings", recording.id, own)
    recordings.change(case.connection, recording.id, when={"state": recording.state}, sealed=sealed)


def _secret(case: Case, recording: Recording) -> bytes:
    """The key of the recording's own call, which may be one that the event's call came out of or went on in."""
    if recording.call_id == case.call.id:
        return case.secret
    call = calls.get(case.connection, recording.call_id)
    secret = None if call is None else personal.call_secret(case.service, call, case.now)
    if secret is None:
        raise InvalidEventError("the recording's call is gone")
    return secret


def absent(case: Case, received: ReceivedEvent) -> None:
    """Discard what its platform says it does not have, and tell people where it failed.

    If the platform has also said that it can be fetched, nothing is done: fetching shows which is true.
    """
    recording = announced(case, received)
    if recording is None or recording.available_at is not None:
        return
    reason = MISSING[received.event.type]
    if recordings.change(
        case.connection, recording.id, when={"state": "announced"}, state="discarded", reason=reason, sealed=None
    ):
        case.note("recording.discarded", recording=recording.id, reason=reason)
        if reason == "platform_failed":
            tasks.open_task(case.connection, "platform_failed", recording.id, case.now)


def refresh(case: Case) -> None:
    """Update what waiting recordings show of their call, and have all that its news concerns looked at again."""
    call = case.call
    look = {"next_try_at": case.now} if case.looked_at_again else {}
    recordings.change_of_call(
        case.connection,
        call.id,
        when={"state": "announced"},
        segment=call.segment,
        direction=call.direction,
        queue=call.queue,
        call_started_at=call.started_at or call.opened_at,
        call_ended_at=call.ended_at,
        **look,
    )
    if "stored" in case.looked_at_again:  # what narrows a call narrows those it came out of, or went on in
        recordings.look_again(case.connection, calls.family(case.connection, call.id), case.now)
    if look:
        case.jobs.add("capture")


def _new(case: Case, event: Event, ref: bytes) -> Recording:
    call, row_id = case.call, new_id("rec")
    cause = event.data.get("by_answer", False)
    return Recording(
        id=row_id,
        call_id=call.id,
        platform=event.platform,
        ref=ref,
        by_answer=cause is True,
        maybe_by_answer=cause in {"maybe", UNSAID},
        call_started_at=call.started_at or call.opened_at,
        sealed=personal.seal(case.secret, "recordings", row_id, _own(event)),
    )


def _own(event: Event) -> dict[str, Any]:
    """What a recording's sealed column adds to its call's: where it lies and how its channels are laid out."""
    return {
        "platform_call_id": event.call_id,
        "platform_recording_id": event.recording_id,
        "url": event.data.get("url"),
        "content_type": event.data.get("content_type"),
        "channel_map": event.data.get("channel_map"),
    }


def _narrow_cause(case: Case, known: Recording, event: Event) -> None:
    """Where events differ on whether our answer started a recording, the weaker claim holds."""
    cause = event.data.get("by_answer")
    if cause in {None, UNSAID} or not event.type.startswith("recording."):
        return
    by_answer = known.by_answer and cause is True
    maybe = not by_answer and (known.by_answer or known.maybe_by_answer) and cause in {True, "maybe"}
    if (by_answer, maybe) != (known.by_answer, known.maybe_by_answer):
        recordings.change(case.connection, known.id, by_answer=by_answer, maybe_by_answer=maybe)
