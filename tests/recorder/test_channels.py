"""Who is on which channel: said with the address of a recording or, by who pushes it, when it starts."""

from __future__ import annotations

import pytest

from recorder import capture, personal
from recorder.capture import pushing
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from tests.recorder.captured import PATH, START, WHOLE, at, only
from tests.recorder.exchange import Exchange, Story, environment, exchange

__all__ = ["environment", "exchange"]  # fixtures

STARTED, AVAILABLE = {"0": "customer", "1": "agent"}, {"0": "agent", "1": "customer"}


def kept(service: Service) -> dict[str, str] | None:
    recording = only(service)
    assert recording.state == "stored"
    with service.database.read() as connection:
        call = call_rows.get(connection, recording.call_id)
    assert call is not None
    found: dict[str, str] | None = personal.of_recording(service, call, recording, at(20))["channel_map"]
    return found


@pytest.fixture
def story(service: Service) -> Story:
    story = Story(service, START)
    story.begin()
    story.consent()
    story.end(10)
    return story


@pytest.mark.parametrize("first", ["recording.started", "recording.stopped"])
def test_what_is_said_when_a_recording_starts_is_kept_with_what_is_pushed(
    service: Service, story: Story, first: str
) -> None:
    told = [("recording.started", 0, {"channel_map": STARTED}), ("recording.stopped", 10, {})]
    for kind, seconds, data in sorted(told, key=lambda one: one[0] != first):
        story.tell(kind, seconds, recording_id=story.recording, **data)

    pushing.push(service, story.call_id, story.recording, "audio/wav", iter([WHOLE]), None, at(12))

    assert kept(service) == STARTED


@pytest.mark.parametrize("available", [None, AVAILABLE])
@pytest.mark.parametrize("order", [("started", "available"), ("available", "started")])
def test_what_is_said_with_the_address_goes_before_what_was_said_at_the_start(
    service: Service, exchange: Exchange, story: Story, order: tuple[str, ...], available: dict[str, str] | None
) -> None:
    exchange.recordings[PATH] = WHOLE
    for kind in order:
        if kind == "started":
            story.tell("recording.started", recording_id=story.recording, channel_map=STARTED)
        else:
            story.available(exchange.origin + PATH, 10, channel_map=available)

    capture.capture_due(service, at(12))

    assert kept(service) == (available or STARTED)
    assert exchange.gets == [PATH]
