"""P1: without a yes nothing is fetched, and nothing kept: a no, no answer, a line that is never recorded, a class that
was never announced, a yes taken back while its audio was on the way.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import capture, sources
from recorder.ports import Service
from tests.recorder.captured import PATH, START, WHOLE, at, only, told
from tests.recorder.exchange import Exchange, Story, reply
from tests.recorder.stored import objects
from tests.recorder.waiting import kinds_of_tasks


def test_p1_a_yes_after_the_last_sample_keeps_nothing(service: Service, exchange: Exchange) -> None:
    told(service, exchange, consent_s=8)  # of a call of ten seconds, six were recorded
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason, only(service).sealed) == ("discarded", "uncovered", None)
    capture.erase_leftovers(service)
    assert objects(service) == []
    assert sources.delete_at_sources(service, at(14)) == 1


@pytest.mark.parametrize("decision", ["refused", "unanswered", "withdrawn"])
def test_p1_without_a_consent_not_a_byte_is_fetched(service: Service, exchange: Exchange, decision: str) -> None:
    story = told(service, exchange, consent_s=None)
    story.consent(5, decision)
    capture.capture_due(service, at(13))
    assert only(service).state == "discarded"
    assert only(service).sealed is None
    assert exchange.gets == []
    assert objects(service) == []
    assert sources.delete_at_sources(service, at(14)) == 1
    assert exchange.deletes == [PATH]


def never_recorded(service: Service) -> None:
    """Let the line table say so from now on."""
    lines = service.settings.lines_path
    lines.write_text(lines.read_text("utf-8").replace('consent = "ask"', 'consent = "never"'), "utf-8")


def test_p1_nothing_is_kept_of_a_line_that_is_never_recorded_whoever_says_yes(
    service: Service, exchange: Exchange
) -> None:
    never_recorded(service)
    told(service, exchange)
    capture.capture_due(service, at(13))

    assert (only(service).state, only(service).reason) == ("discarded", "never_recorded")
    assert exchange.gets == []
    assert sources.delete_at_sources(service, at(14)) == 1


def test_what_was_kept_before_a_line_came_never_to_be_recorded_stays(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)
    capture.capture_due(service, at(13))
    never_recorded(service)
    story.tell("recording.paused", 2, recording_id=story.recording)
    capture.capture_due(service, at(20))

    assert only(service).state == "stored"


def test_p1_a_silent_call_waits_for_its_deadline_and_is_discarded(service: Service, exchange: Exchange) -> None:
    told(service, exchange, consent_s=None)
    capture.capture_due(service, at(13))
    assert only(service).state == "announced"
    capture.capture_due(service, at(10) + timedelta(hours=23))
    assert only(service).state == "announced"
    capture.capture_due(service, at(11) + timedelta(hours=24))
    assert only(service).state == "discarded"
    assert exchange.gets == []


def test_p1_a_withdrawal_during_the_fetch_keeps_nothing(service: Service, exchange: Exchange) -> None:
    story = told(service, exchange)

    def withdrawing(handler: object) -> None:
        story.consent(14, "withdrawn")
        reply(handler, WHOLE)  # type: ignore[arg-type] -- the server's own handler

    exchange.recordings[PATH] = withdrawing
    capture.capture_due(service, at(13))
    assert only(service).state == "announced"
    assert objects(service) == []
    capture.capture_due(service, at(15))
    assert only(service).state == "discarded"
    assert len(exchange.gets) == 1


def test_p1_an_unannounced_class_is_never_fetched_and_opens_a_task(service: Service, exchange: Exchange) -> None:
    story = Story(service, START)
    exchange.recordings[PATH] = WHOLE
    story.begin(**{"direction": "outbound", "from": "+4570123456", "to": "+4520123456"}, call_kind="service")
    story.record()
    story.consent(0)
    story.end(10)
    story.available(exchange.origin + PATH, 12)
    capture.capture_due(service, at(13))
    assert (only(service).state, only(service).reason) == ("discarded", "class_unknown")
    assert exchange.gets == []
    assert "class_unknown" in kinds_of_tasks(service)
