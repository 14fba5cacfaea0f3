"""P6: audio that is not there yet, or not whole, is tried again: less and less often, and not for ever. What is kept in
the end is as long as was announced.
"""

from __future__ import annotations

import pytest

from recorder import capture, sources
from recorder.ports import Service
from tests.recorder.captured import PATH, SOUND, WHOLE, at, only, opened, streamed, told
from tests.recorder.exchange import Exchange, reply
from tests.recorder.sounds import speechlike
from tests.recorder.stored import objects
from tests.recorder.waiting import kinds_of_tasks


def missing(handler: object) -> None:
    reply(handler, b"<html>soon</html>", 404, "text/html")  # type: ignore[arg-type] -- the server's own handler


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (missing, "platform"),
        (lambda handler: reply(handler, b"", 425), "platform"),
        (b"", "audio_not_ready"),
        (b"<!DOCTYPE html><html>Please sign in</html>", "audio_not_ready"),
        (b"<?xml version='1.0'?><Error/>", "audio_not_ready"),
        (WHOLE[:-2], "audio_truncated"),
        (lambda handler: reply(handler, WHOLE[:-100], length=len(WHOLE)), "platform"),
    ],
)
def test_p6_what_is_not_there_yet_is_tried_again_and_kept_when_it_is(
    service: Service, exchange: Exchange, answer: object, reason: str
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    capture.capture_due(service, at(13))
    kept = only(service)
    assert (kept.state, kept.reason, kept.tries) == ("announced", reason, 1)
    assert objects(service) == []
    assert capture.capture_due(service, at(14)) == 0
    exchange.recordings[PATH] = WHOLE
    assert capture.capture_due(service, at(30)) == 1
    assert opened(service, only(service)) == WHOLE


@pytest.mark.parametrize(
    ("answer", "tries", "hours"), [(missing, 56, 23), (b"<html></html>", 12, 1)], ids=["away", "not whole"]
)
def test_each_try_waits_twice_as_long_as_the_one_before_up_to_half_an_hour(
    service: Service, exchange: Exchange, answer: object, tries: int, hours: int
) -> None:
    told(service, exchange, audio=answer)  # type: ignore[arg-type] -- bytes or an answer
    now, waits = at(13), []
    while capture.capture_due(service, now) and (again := only(service).next_try_at) is not None:
        waits.append((again - now).total_seconds())
        now = again

    assert only(service).state == "failed"
    late = [wait - min(2**number, 1800) for number, wait in enumerate(waits, start=1)]
    assert len(waits) == tries - 1
    assert all(0 <= seconds < 5 for seconds in late)  # what the try itself took
    assert len(exchange.gets) == tries
    assert sum(waits) // 3600 == hours


@pytest.mark.parametrize(
    "audio", [b"<html></html>", WHOLE[:-2], streamed(speechlike(3))], ids=["a page", "not whole", "half"]
)
def test_audio_that_never_comes_whole_ends_as_a_task_and_stays_at_the_exchange(
    service: Service, exchange: Exchange, audio: bytes
) -> None:
    told(service, exchange, audio=audio, duration_ms=6000)
    now = at(13)
    for _ in range(200):
        capture.capture_due(service, now)
        if only(service).state == "failed":
            break
        now = only(service).next_try_at or now
    assert only(service).state == "failed"
    assert kinds_of_tasks(service) == ["capture_failed"]
    assert sources.delete_at_sources(service, now) == 0
    assert exchange.deletes == []


def test_p6_half_of_what_was_announced_is_not_kept_for_all_of_it(service: Service, exchange: Exchange) -> None:
    whole, half = streamed(SOUND), streamed(speechlike(3))
    told(service, exchange, audio=half, duration_ms=6700)
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("announced", "audio_truncated")
    assert objects(service) == []

    exchange.recordings[PATH] = whole  # what is missing to the announced duration may have been rounded up
    capture.capture_due(service, at(30))
    assert opened(service, only(service)) == whole


def test_what_announced_nothing_about_its_length_is_taken_as_it_comes(service: Service, exchange: Exchange) -> None:
    half = streamed(speechlike(3))
    told(service, exchange, audio=half)
    capture.capture_due(service, at(13))
    assert opened(service, only(service)) == half
