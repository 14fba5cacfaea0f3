"""Recordings an exchange pushes to us: made once, under the same consent as those we fetch, and to be repeated when one
broke off or came too early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder import capture, sources
from recorder.capture import pushing
from recorder.errors import (
    AudioTruncatedError,
    AudioUnsupportedError,
    CallNotFoundError,
    ConsentMissingError,
    ConsentPendingError,
    InvalidInputError,
    LeaseLostError,
    TooLargeError,
)
from recorder.ports import Service
from recorder.settings import load
from tests.recorder.captured import START, WHOLE, acts, at, only, opened
from tests.recorder.exchange import Story
from tests.recorder.sounds import speechlike, wav
from tests.recorder.stored import objects


def announced(service: Service, *, consent: bool = True, ended: bool = True) -> Story:
    story = Story(service, START)
    story.begin()
    story.record()
    if consent:
        story.consent()
    if ended:
        story.end(10)
    return story


def push(service: Service, story: Story, data: bytes = WHOLE, *, seconds: float = 12, **options: object) -> str:
    wanted = {"content_type": "audio/wav", "started_at": None, **options}
    chunks = iter([data[:1000], data[1000:]])
    return pushing.push(service, story.call_id, story.recording, chunks=chunks, now=at(seconds), **wanted)  # type: ignore[arg-type] -- test options


def test_a_pushed_recording_is_created_once(service: Service) -> None:
    story = announced(service)
    assert push(service, story) == "created"
    assert opened(service, only(service)) == WHOLE
    assert push(service, story) == "same"
    assert push(service, story, wav(speechlike(3))) == "conflict"
    sources.delete_at_sources(service, at(14))
    assert acts(service)[-1] == "source.left"  # who pushes has told us of no copy that we could delete
    assert acts(service).count("recording.stored") == 1
    assert len(objects(service)) == 2


@pytest.mark.parametrize("kind", ["recording.absent", "recording.failed"])
def test_p6_a_push_of_what_was_said_to_be_missing_is_kept(service: Service, kind: str) -> None:
    story = announced(service, ended=False)
    for _ in range(2):
        story.tell(kind, 9, recording_id=story.recording)
        with pytest.raises(ConsentPendingError):
            push(service, story, seconds=9)
    story.end(10)

    assert push(service, story) == "created"
    assert opened(service, only(service)) == WHOLE


def test_p6_a_push_beside_another_of_the_same_is_to_be_repeated(service: Service) -> None:
    story = announced(service)

    def arriving() -> Iterator[bytes]:
        yield WHOLE[:1000]
        with pytest.raises(LeaseLostError) as meanwhile:
            push(service, story)
        assert meanwhile.value.retryable  # as "conflict" it would say that other audio was kept
        yield WHOLE[1000:]

    kept = pushing.push(service, story.call_id, story.recording, "audio/wav", arriving(), None, at(12))

    assert (kept, push(service, story)) == ("created", "same")


def test_a_pushed_recording_that_was_cut_is_still_known_by_its_bytes(service: Service) -> None:
    story = announced(service, consent=False)
    story.consent(2)
    assert push(service, story) == "created"
    assert only(service).content_type == "audio/flac"
    assert push(service, story) == "same"

    story.tell("recording.paused", 4, recording_id=story.recording)
    story.tell("recording.resumed", 5, recording_id=story.recording)
    assert capture.capture_due(service, at(20)) == 1  # cut anew, from what was kept
    assert push(service, story) == "same"


def test_a_push_may_say_when_the_recording_began(service: Service) -> None:
    story = Story(service, START)
    story.begin()
    story.consent()
    story.end(10)
    for impossible in (None, START - timedelta(days=91), START + timedelta(hours=1)):
        with pytest.raises(InvalidInputError):
            push(service, story, started_at=impossible)
    assert push(service, story, started_at=START) == "created"


def test_p1_a_push_without_a_consent_is_not_even_read(service: Service) -> None:
    pending, refused = announced(service, consent=False), announced(service, consent=False)
    refused.consent(3, "refused")

    def unread() -> Iterator[bytes]:
        pytest.fail("read before it was decided")
        yield b""

    with pytest.raises(ConsentPendingError):
        pushing.push(service, pending.call_id, pending.recording, "audio/wav", unread(), None, at(12))
    for _ in range(2):
        with pytest.raises(ConsentMissingError):
            pushing.push(service, refused.call_id, refused.recording, "audio/wav", unread(), None, at(12))
    with pytest.raises(CallNotFoundError):
        pushing.push(service, "unknown", "unknown-r", "audio/wav", unread(), START, at(12))
    assert objects(service) == []


def test_a_push_while_the_call_goes_on_is_asked_again(service: Service) -> None:
    story = announced(service, ended=False)
    with pytest.raises(ConsentPendingError):
        push(service, story)
    story.end(20)
    assert push(service, story, seconds=21) == "created"


def test_a_bad_push_keeps_nothing_and_may_be_repeated(service: Service) -> None:
    story = announced(service)
    with pytest.raises(AudioUnsupportedError):
        push(service, story, content_type="text/html")
    with pytest.raises(AudioTruncatedError):
        push(service, story, WHOLE[:-2])
    assert objects(service) == []
    assert push(service, story, seconds=14) == "created"


def test_a_push_may_take_as_long_as_its_call_did(service: Service) -> None:
    """One that comes at the speed of speech takes longer than any fetch; what has to be encoded is no different."""
    story = announced(service, consent=False)
    story.consent(2)
    hasty = service.settings.capture.model_copy(update={"fetch_timeout_s": 0})
    settings = service.settings.model_copy(update={"capture": hasty})
    assert push(replace(service, settings=settings), story) == "created"


def test_a_push_beyond_the_limit_is_refused(environment: dict[str, str], clock: object) -> None:
    from recorder.service import opened as opening

    settings = load(environment | {"RECORDER_CAPTURE__MAX_BYTES": "50000"})
    with opening(settings, clock=clock) as service:  # type: ignore[arg-type] -- the shared clock
        story = announced(service)
        with pytest.raises(TooLargeError):
            push(service, story)
        assert objects(service) == []
