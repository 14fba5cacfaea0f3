"""What each of Twilio's callbacks means, and that none of them, whatever it holds, makes us raise anything else."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import InvalidEventError
from recorder.events import decode, encode
from recorder.platforms.twilio import consent_requested
from recorder.ports import WebhookRequest
from tests.recorder.platforms.twilios import ACCOUNT, CALL, FORM, NOW, RECORDING, form, platform, recording, request

FIELDS = [
    "AccountSid", "CallSid", "Digits", "From", "To", "Direction", "CallStatus", "Timestamp", "RecordingSid",
    "RecordingStatus", "RecordingStartTime", "RecordingDuration", "RecordingChannels", "RecordingSource", "ErrorCode",
]  # fmt: skip
VALUES = [ACCOUNT, CALL, RECORDING, "completed", "in-progress", "absent", "1", "Sun, 22 Nov 2026 14:00:00 +0000", "-1"]


@given(
    path=st.sampled_from(["voice", "consent", "recording", "status", "other"]),
    body=st.one_of(
        st.binary(),
        st.dictionaries(st.sampled_from(FIELDS), st.one_of(st.text(), st.sampled_from(VALUES))).map(
            lambda fields: urlencode({"CallSid": CALL, "RecordingSid": RECORDING} | fields, errors="replace").encode()
        ),
    ),
    query=st.dictionaries(
        st.sampled_from(["cause", "script", "version", "language"]), st.text(st.characters(codec="utf-8"))
    ),
)
def test_no_body_makes_parse_raise_anything_else(path: str, body: bytes, query: dict[str, str]) -> None:
    try:
        events = platform().parse(WebhookRequest("https://h/", path, query, {"content-type": FORM}, body), NOW)
    except InvalidEventError:
        return
    for event in events:
        assert decode(encode(event)) == event


def test_voice_opens_the_call() -> None:
    fields = {
        "AccountSid": ACCOUNT,
        "CallSid": CALL,
        "From": "+4520123456",
        "To": "+4570123456",
        "Direction": "inbound",
    }

    (event,) = platform().parse(form("voice", fields), NOW)

    assert (event.type, event.call_id, event.opens, event.at, event.clock) == (
        "call.started",
        CALL,
        True,
        NOW,
        "service",
    )
    assert event.data == {"direction": "inbound", "from": "+4520123456", "to": "+4570123456"}


@pytest.mark.parametrize(
    "caller", ["", "anonymous", "Restricted", "+266696687", "sip:Anonymous@anonymous.invalid", "client:jenny"]
)
def test_withheld_callers_have_no_number(caller: str) -> None:
    (event,) = platform().parse(form("voice", {"CallSid": CALL, "From": caller, "To": "+4570123456"}), NOW)

    assert event.data["from"] is None


@pytest.mark.parametrize(
    ("digits", "kind"),
    [("1", "granted"), ("2", "refused"), ("3", "refused"), ("*", "refused"), ("#", "refused"), ("0", "refused"),
     ("11", "refused"), ("１", "refused"), (" 1", "refused"), ("", "unanswered"), (None, "unanswered")],
)  # fmt: skip
def test_p1_only_key_1_is_a_yes(digits: str | None, kind: str) -> None:
    fields = {"CallSid": CALL, "To": "+4570123456"} | ({} if digits is None else {"Digits": digits})

    (event,) = platform().parse(form("consent", fields, "?script=inbound-da&version=1&language=da"), NOW)

    assert event.type == f"consent.{kind}"
    assert not event.opens
    assert event.data["method"] == "dtmf"
    assert event.data["script"] == "inbound-da@1"
    assert event.data["language"] == "da"
    assert event.data["digit"] == (digits or None)


def test_retries_have_the_same_key_and_other_answers_another() -> None:
    def key(path: str, **fields: str) -> str:
        return platform().parse(form(path, {"CallSid": CALL, **fields}), NOW)[0].key

    recording = {"RecordingSid": RECORDING, "RecordingDuration": "1"}
    keys = [
        key("voice"),
        key("consent", Digits="1"),
        key("consent", Digits="2"),
        key("consent"),
        key("recording", RecordingStatus="in-progress", **recording),
        key("recording", RecordingStatus="completed", **recording),
        key("status", CallStatus="completed"),
    ]

    assert len(set(keys)) == len(keys)
    assert key("consent", Digits="1", CallDuration="5") == keys[1]


def test_recording_callbacks_become_canonical() -> None:
    start = "Sun, 22 Nov 2026 14:00:00 +0000"

    (started,) = platform().parse(recording(RecordingStatus="in-progress", RecordingStartTime=start), NOW)
    (available,) = platform().parse(
        recording(RecordingStatus="completed", RecordingStartTime=start, RecordingDuration="42", RecordingChannels="2"),
        NOW,
    )
    (absent,) = platform().parse(recording(RecordingStatus="absent", ErrorCode="16102"), NOW)
    (failed,) = platform().parse(recording(RecordingStatus="failed"), NOW)

    assert (started.type, started.at, started.clock) == ("recording.started", NOW - timedelta(minutes=5), "platform")
    assert (available.type, available.recording_id) == ("recording.available", RECORDING)
    assert available.data == {
        "recording_id": RECORDING,
        "by_answer": True,
        "started_at": "2026-11-22T14:00:00Z",
        "content_type": "audio/wav",
        "duration_ms": 42_000,
        "channels": 2,
        "channel_map": {"0": "customer", "1": "agent"},
    }
    assert (absent.type, absent.data["reason"]) == ("recording.absent", "16102")
    assert (failed.type, failed.data["reason"]) == ("recording.failed", "failed")
    assert not any(event.opens for event in (started, available, absent, failed))


@pytest.mark.parametrize(
    "start",
    [
        "Sun, 22 Nov 2026 14:00:00 +0000",
        "Sun, 22 Nov 2026 15:00:00 +0100",
        "Sun, 22 Nov 2026 06:00:00 -0800",
        "Sun, 22 Nov 2026 14:00:00 GMT",
        "Sun, 22 Nov 2026 14:00:00 -0000",
        "2026-11-22T14:00:00Z",
        "2026-11-22T15:00:00+01:00",
    ],
)
def test_a_time_is_the_same_moment_in_every_zone(start: str) -> None:
    (event,) = platform().parse(recording(RecordingStatus="completed", RecordingStartTime=start), NOW)

    assert event.data["started_at"] == "2026-11-22T14:00:00Z"


def test_unknown_recording_status_is_noted_and_nothing_else() -> None:
    assert platform().parse(recording(RecordingStatus="processing"), NOW) == []


@pytest.mark.parametrize(
    ("query", "source", "by_answer"),
    [
        ("?cause=consent", "StartCallRecordingTwiML", True),
        ("?cause=consent", "DialVerb", True),
        ("", None, True),
        ("", "StartCallRecordingTwiML", True),
        ("", "startcallrecordingtwiml", True),
        ("", "StartCallRecordingAPI", "maybe"),
        ("?cause=other", "DialVerb", False),
        ("", "OutboundAPI", False),
        ("", "Trunking", False),
        ("", "RecordVerb", False),
        ("", "Conference", False),
        ("", "StartConferenceRecordingAPI", False),
    ],
)
def test_p1_cause_of_a_recording(query: str, source: str | None, by_answer: bool | str) -> None:
    fields = {"RecordingStatus": "completed"} | ({"RecordingSource": source} if source else {})

    (event,) = platform().parse(recording(query, **fields), NOW)

    assert event.data["by_answer"] == by_answer
    assert event.data.get("source") == source


def test_the_end_of_a_call_is_told_by_its_parent_leg_alone() -> None:
    ended = {"CallSid": CALL, "CallStatus": "completed", "Timestamp": "Sun, 22 Nov 2026 14:04:00 +0000"}

    (event,) = platform().parse(form("status", ended), NOW)

    assert (event.type, event.at, event.stamped_at) == (
        "call.ended",
        NOW - timedelta(minutes=1),
        NOW - timedelta(minutes=1),
    )
    assert event.data == {"ended_at": "2026-11-22T14:04:00Z"}
    assert platform().parse(form("status", ended | {"ParentCallSid": "CA" + "3" * 32}), NOW) == []
    assert platform().parse(form("status", ended | {"CallStatus": "ringing"}), NOW) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"CallSid": ""},
        {"CallSid": "CA123"},
        {"CallSid": CALL + "\n"},
        {"AccountSid": "AC" + "9" * 32},
        {"RecordingSid": "../../etc"},
        {"RecordingSid": RECORDING + "?x"},
        {"RecordingStartTime": "yesterday"},
        {"RecordingStartTime": "Sun, 22 Nov 2099 14:00:00 +0000"},
        {"RecordingStartTime": "Thu, 01 Jan 1970 00:00:00 +0000"},
        {"RecordingStartTime": "Mon, 24 Aug 2026 14:00:00 +0000"},
        {"RecordingDuration": "-1"},
        {"RecordingDuration": "1e9"},
        {"RecordingDuration": "999999"},
        {"RecordingDuration": "9" * 5000},
        {"RecordingChannels": "7"},
    ],
)
def test_malformed_callbacks_are_invalid(fields: dict[str, str]) -> None:
    whole = {"AccountSid": ACCOUNT, "CallSid": CALL, "RecordingSid": RECORDING, "RecordingStatus": "completed"}

    with pytest.raises(InvalidEventError):
        platform().parse(form("recording", whole | fields), NOW)


def test_a_field_that_stands_twice_is_invalid() -> None:
    body = f"CallSid={CALL}&Digits=2&Digits=1"  # the signature of both orders is the same

    with pytest.raises(InvalidEventError):
        platform().parse(request("https://h/webhooks/twilio/consent", body, "consent"), NOW)


def test_question_asked_is_an_event_of_its_own() -> None:
    (started,) = platform().parse(form("voice", {"CallSid": CALL, "To": "+4570123456"}), NOW)

    asked = consent_requested(started, script="inbound-da@1", language="da", now=NOW)

    assert (asked.type, asked.call_id, asked.opens) == ("consent.requested", CALL, False)
    assert asked.key != started.key
