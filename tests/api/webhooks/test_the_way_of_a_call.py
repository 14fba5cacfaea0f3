"""The way of a call at Twilio: asked, recorded from a yes on, and after every other answer connected to the same place
unrecorded.
"""

from __future__ import annotations

from typing import Any

import pytest

from recorder.ports import Service
from tests.api.webhooks.senders import AGENT, LINE, RECORDING, Twilio, accepted
from tests.conftest import MovingClock


async def test_p1_a_call_with_a_yes_is_recorded_from_the_answer_on(twilio: Twilio, service: Service) -> None:
    asked = await twilio.twiml("voice")
    action = asked.findall("Gather")[0].attrib["action"]
    answered = await twilio.twiml(action, Digits="1")
    callback = answered.findall("Start/Recording")[0].attrib["recordingStatusCallback"]
    started = await twilio.post(callback, RecordingSid=RECORDING, RecordingStatus="in-progress")
    completed = await twilio.post(callback, RecordingSid=RECORDING, RecordingStatus="completed", RecordingDuration="42")
    ended = await twilio.post("status", CallStatus="completed")

    assert [verb.tag for verb in asked] == ["Say", "Gather"]
    asked = f"{service.clock().timestamp():.0f}"
    path = f"/webhooks/twilio/consent?script=inbound-da&version=1&language=da&asked={asked}"
    assert action == service.settings.http.public_url + path
    assert [verb.tag for verb in answered] == ["Say", "Start", "Dial"]
    assert answered[2].text == AGENT
    assert [response.status for response in (started, completed, ended)] == [204, 204, 204]
    events = accepted(service)
    assert sorted(event.type for event in events) == [
        "call.ended",
        "call.started",
        "consent.granted",
        "consent.requested",
        "recording.available",
        "recording.started",
    ]
    by_type = {event.type: event for event in events}
    assert by_type["consent.granted"].data["script"] == "inbound-da@1"
    assert by_type["consent.granted"].clock == "service"
    assert by_type["recording.available"].data["by_answer"] is True
    assert [event.type for event in events if event.opens] == ["call.started"]


@pytest.mark.parametrize("digits", ["2", "3", "*", "", "11"])
async def test_p1_every_other_answer_connects_to_the_same_place_unrecorded(twilio: Twilio, digits: str) -> None:
    action = (await twilio.twiml("voice")).findall("Gather")[0].attrib["action"]

    polite, dial = answer = await twilio.twiml(action, Digits=digits)

    assert polite.text == "Helt i orden. Vi optager ikke samtalen."
    assert (dial.tag, dial.text) == ("Dial", AGENT)
    assert answer.find(".//Recording") is None


@pytest.mark.parametrize("keys", ["212", "121"])
async def test_p1_a_caller_who_is_asked_again_may_say_the_same_again(
    twilio: Twilio, service: Service, clock: MovingClock, keys: str
) -> None:
    for key in keys:
        clock.advance(seconds=10)
        action = (await twilio.twiml("voice")).findall("Gather")[0].attrib["action"]
        for _ in range(2):  # Twilio repeats what it got no answer to
            await twilio.twiml(action, Digits=key)

    answers = [event.data["digit"] for event in accepted(service) if event.data.get("digit")]
    assert answers == list(keys)


async def test_an_answer_that_names_no_question_was_given_to_the_script_of_the_day(twilio: Twilio) -> None:
    answer = await twilio.twiml("consent", Digits="1")

    assert answer.find(".//Recording") is not None
    assert (await twilio.twiml("consent", CallSid="CA" + "2" * 32, Digits="2")).find(".//Recording") is None


async def test_p1_a_yes_to_a_question_nobody_asked_records_nothing(twilio: Twilio) -> None:
    for path in (
        "consent?script=inbound-da&version=9&language=da",
        "consent?script=outbound-da&version=1&language=da",
    ):
        answer = await twilio.twiml(path, Digits="1")

        assert [verb.tag for verb in answer] == ["Dial"]


@pytest.mark.parametrize(
    "fields",
    [
        {"To": "+4570123457"},  # asked elsewhere
        {"Direction": "outbound-api", "From": LINE, "To": "+4520123456"},  # the agent asks
    ],
)
async def test_lines_that_do_not_ask_connect_at_once(twilio: Twilio, service: Service, fields: dict[str, str]) -> None:
    answer = await twilio.twiml("voice", **fields)

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
    assert [event.type for event in accepted(service)] == ["call.started"]


async def test_p6_an_unknown_line_is_connected_to_the_organisation(
    twilio: Twilio, service: Service, settings: Any
) -> None:
    answer = await twilio.twiml("voice", To="+4599999999")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", service.settings.organisation.phone)]


async def test_a_line_whose_script_is_not_approved_connects_unrecorded(twilio: Twilio, service: Service) -> None:
    path = service.settings.lines_path
    path.write_text(path.read_text("utf-8").replace('"inbound-da"', '"not-written-yet"'), "utf-8")

    answer = await twilio.twiml("voice")

    assert [(verb.tag, verb.text) for verb in answer] == [("Dial", AGENT)]
