"""What is learnt late takes from what is stored as much as it would have taken before, whichever way it is learnt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import delete

from recorder import capture, erasure
from recorder.audio import Cut
from recorder.calls.family import Family
from recorder.capture.narrowing import recut
from recorder.consent import Decision
from recorder.consent.spans import UNTIL_END, WHOLE
from recorder.ports import Service
from storage.catalogue import recordings
from storage.catalogue.recordings import Recording
from storage.tables import AttemptRow
from tests.conftest import MovingClock
from tests.recorder import captured as cap
from tests.recorder.audio.renditions import Kept
from tests.recorder.captured import SOUND, at, only, opened, told
from tests.recorder.exchange import Exchange, Story
from tests.recorder.sounds import RATE, decoded, encoded, speechlike
from tests.recorder.stored import objects
from tests.recorder.telling import an_event, as_stored, its_recordings, started, tell, the_call, whole_story

FROM_START = Decision("keep", "stored", WHOLE, ((1000, 1200),))
FROM_YES = Decision("keep", "stored", ((1500, UNTIL_END),))
NARROWER = {
    "a pause after a cut": (FROM_YES, Decision("keep", "", FROM_YES.keep, ((4000, 5000),))),
    "a second pause": (FROM_START, Decision("keep", "", WHOLE, ((1000, 1200), (4000, 5000)))),
    "an outsider after a cut": (FROM_YES, Decision("keep", "", ((1500, 4000), (5000, UNTIL_END)))),
    "a later yes after a pause": (FROM_START, Decision("keep", "", ((5000, UNTIL_END),))),
}
QUIET = 200  # what an encoder leaves of silence


def mp3(xing: str = "1") -> bytes:
    """Eight seconds, loud from the fourth to the fifth."""
    samples = speechlike(8, 1)
    samples[: 4 * RATE] = samples[5 * RATE :] = 0
    return encoded(samples, "-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", xing, "-f", "mp3")


def loudest(flac: bytes) -> int:
    return int(np.abs(decoded(flac, "flac").astype(int)).max())


@pytest.mark.parametrize("together", [False, True])
def test_p1_a_withdrawal_in_a_linked_call_taken_in_with_its_start_reaches_what_is_stored(
    service: Service, clock: MovingClock, together: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    (recording,) = its_recordings(service, the_call(service))
    as_stored(service, recording)
    events = [
        started(begun, call="pbx-82"),
        an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("consent.withdrawn", clock.now, call="pbx-82"),
    ]
    for batch in [events] if together else [[one] for one in events]:
        tell(service, *batch)

    (recording,) = its_recordings(service, the_call(service))
    assert recording.next_try_at == clock.now


def outsider_left(story: Story) -> None:
    story.tell("party.left", 3, party={"role": "outside", "number": "+4511111111"})


def restarted(story: Story) -> None:
    story.tell("recording.stopped", 3, recording_id=story.recording)
    story.tell("recording.started", 4, recording_id=story.recording)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("act", [outsider_left, restarted])
def test_p1_whatever_narrows_does_so_late_too(
    service: Service, exchange: Exchange, act: Callable[[Story], None], late: bool
) -> None:
    story = Story(service, cap.START)
    exchange.recordings[cap.PATH] = cap.WHOLE
    story.begin()
    story.record()
    story.consent(0)
    if not late:
        act(story)
    story.end(10)
    story.available(exchange.origin + cap.PATH, 12)
    capture.capture_due(service, at(13))
    if late:
        act(story)
        for seconds in (30, 400, 4000):
            capture.capture_due(service, at(seconds))
    assert only(service).spans in (
        {"keep": [[3000, UNTIL_END]], "mute": []},
        {"keep": [[0, UNTIL_END]], "mute": [[3000, UNTIL_END]]},
    )


@pytest.mark.parametrize("late", [False, True])
def test_p1_a_pause_in_a_linked_call_mutes_what_is_recorded_in_the_other(
    service: Service, exchange: Exchange, late: bool
) -> None:
    story = told(service, exchange)
    if late:
        capture.capture_due(service, at(13))
    child = Story(service, cap.START, name="pbx-child")
    child.begin()
    child.tell("party.joined", 1, parent_call_id=story.call_id, party={"role": "agent"})
    child.tell("recording.paused", 2)
    child.tell("recording.resumed", 4)
    capture.capture_due(service, at(20))

    assert only(service).spans == {"keep": [[0, UNTIL_END]], "mute": [[2000, 4000]]}


class TestWherePausesAreCut:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"RECORDER_CAPTURE__PAUSES": "cut"}

    def late_pause(self, service: Service, exchange: Exchange, since: float, until: float) -> Recording:
        story = told(service, exchange)
        capture.capture_due(service, at(13))
        recording = only(service)
        story.tell("recording.paused", since, recording_id=story.recording)
        story.tell("recording.resumed", until, recording_id=story.recording)
        capture.capture_due(service, at(20))
        capture.erase_leftovers(service)
        return recording

    def test_p1_a_late_pause_is_cut_out_of_what_is_stored(self, service: Service, exchange: Exchange) -> None:
        self.late_pause(service, exchange, 2, 3)

        kept = decoded(opened(service, only(service)), "flac").reshape(-1, 2)
        assert (kept == np.concatenate([SOUND[: 2 * RATE], SOUND[3 * RATE :]])).all()

    def test_p1_a_late_pause_that_leaves_no_sample_erases_it(self, service: Service, exchange: Exchange) -> None:
        erased = self.late_pause(service, exchange, 0, 8)  # six seconds were recorded

        assert erasure.certificate(service, erased.id)["reason"] == "uncovered"
        assert objects(service) == []


def test_p1_what_can_no_longer_be_cut_is_erased_all_the_same(service: Service, exchange: Exchange) -> None:
    """The row of its original is lost, which only damage to the database does."""
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    with service.database.write() as connection:
        connection.execute(delete(AttemptRow).where(AttemptRow.rendition == "original"))
    story.consent(4, "withdrawn")
    capture.capture_due(service, at(20))

    with service.database.read() as connection:
        assert recordings.search(connection, recordings.Filter()).items == []


def test_p1_a_withdrawal_in_a_linked_call_while_the_other_is_being_stored(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = told(service, exchange)
    child = Story(service, at(5), name="pbx-child")
    child.begin()
    child.tell("party.joined", 1, parent_call_id=story.call_id, party={"role": "agent"})
    withdrawing = threading.Thread(target=child.consent, args=(4, "withdrawn"))
    decided = Family.decided

    def meanwhile(family: Family, asking: Service, recording: Recording, now: datetime) -> Decision:
        """In the transaction that will say stored: the withdrawal is taken in, or waits for that transaction's end."""
        found = decided(family, asking, recording, now)
        if recording.state == "capturing" and withdrawing.ident is None:
            withdrawing.start()
            withdrawing.join(1)
        return found

    monkeypatch.setattr(Family, "decided", meanwhile)
    capture.capture_due(service, at(13))
    withdrawing.join(10)
    for seconds in (20, 100, 4000, 100_000):
        capture.capture_due(service, at(seconds))

    with service.database.read() as connection:
        assert recordings.search(connection, recordings.Filter()).items == []
    assert objects(service) == []


@pytest.mark.parametrize("xing", ["0", "1"])
@pytest.mark.parametrize("name", NARROWER)
def test_p1_what_is_taken_from_a_cut_mp3_later_is_gone(name: str, xing: str) -> None:
    before, after = NARROWER[name]

    at_once = Kept(mp3(xing), Cut(after.keep, after.mute))
    first = Kept(mp3(xing), Cut(before.keep, before.mute))
    second = Kept(first["original"], recut(before.keep, after, first.produced.lag_ms))

    assert (first.produced.lag_ms, second.produced.lag_ms) == (288, 0)
    assert loudest(at_once["original"]) < QUIET
    assert loudest(second["original"]) < QUIET


def test_p1_that_a_recording_was_an_mp3_is_remembered_through_every_cut(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange, consent_s=1.5, audio=mp3())
    capture.capture_due(service, at(13))
    for begun in (2, 4):
        story.tell("recording.paused", begun, recording_id=story.recording)
        story.tell("recording.resumed", begun + 1, recording_id=story.recording)
        capture.capture_due(service, at(20 + begun))

        spans = only(service).spans
        assert spans is not None
        assert spans["lag_ms"] == 288
    assert loudest(opened(service, only(service))) < QUIET


@pytest.mark.parametrize("limit", ["max_seconds", "max_bytes"])
def test_p1_a_recording_longer_than_what_is_taken_by_now_is_narrowed_all_the_same(
    service: Service, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    monkeypatch.setitem(vars(service.settings.capture), limit, 2)
    story.tell("recording.paused", 2, recording_id=story.recording)
    story.tell("recording.resumed", 4, recording_id=story.recording)
    capture.capture_due(service, at(20))

    assert only(service).spans == {"keep": [[0, UNTIL_END]], "mute": [[2000, 4000]]}
