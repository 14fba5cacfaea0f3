"""Twilio: signatures as its own SDK makes and publishes them, and what each callback means."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from recorder.errors import ConfigurationError, InvalidEventError, PlatformError, SignatureError
from recorder.events import decode, encode
from recorder.platforms import twilio_recordings
from recorder.platforms.twilio import Twilio, consent_requested
from recorder.ports import Listing, Source, WebhookRequest
from recorder.settings import Capture
from recorder.settings import Twilio as TwilioSettings

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
RECORDING = "RE" + "2" * 32
FORM = "application/x-www-form-urlencoded"
VECTOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTOR = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}


def platform(**settings: object) -> Twilio:
    given_settings = {"account_sid": ACCOUNT, "auth_tokens": ["12345"], **settings}
    return Twilio(TwilioSettings.model_validate(given_settings), Capture())


def request(url: str, body: bytes | str, path: str = "voice", **headers: str) -> WebhookRequest:
    return WebhookRequest(
        url=url,
        path=path,
        query=dict(parse_qsl(urlsplit(url).query)),
        headers={"content-type": FORM} | {name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
    )


def form(path: str, fields: dict[str, str], query: str = "") -> WebhookRequest:
    return request(f"https://rec.example.com/webhooks/twilio/{path}{query}", urlencode(fields), path)


@pytest.mark.parametrize(
    ("url", "body", "signature"),
    [
        (VECTOR_URL, urlencode(VECTOR), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (VECTOR_URL, urlencode(VECTOR), "kvajT1Ptam85bY51eRf/AJRuM3w="),  # signed with :443 in the URL
        (VECTOR_URL.replace("com/", "com:443/"), urlencode(VECTOR), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (VECTOR_URL.replace("https", "http"), urlencode(VECTOR), "0ZXoZLH/DfblKGATFgpif+LLRf4="),  # signed with :80
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", urlencode(VECTOR), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (VECTOR_URL, "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234", "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (VECTOR_URL + "&Body=It's+amazing", urlencode(VECTOR), "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
        (VECTOR_URL + "&Body=It%27s+amazing", urlencode(VECTOR), "TfZzewPq8wqrGlMfyAud8+/IvJ0="),
    ],
)  # fmt: skip
def test_published_signatures_verify(url: str, body: str, signature: str) -> None:
    platform().verify(request(url, body, x_twilio_signature=signature), NOW)


def test_recording_callback_of_the_reference_verifies() -> None:
    url = "https://rec.example.com/hooks/twilio/recording"
    fields = {
        "AccountSid": ACCOUNT,
        "CallSid": CALL,
        "RecordingSid": RECORDING,
        "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}",
        "RecordingStatus": "completed",
        "RecordingDuration": "42",
        "RecordingChannels": "2",
        "RecordingSource": "StartCallRecordingAPI",
        "RecordingStartTime": "Sun, 22 Nov 2026 14:00:00 +0000",
        "RecordingTrack": "both",
        "ErrorCode": "0",
    }
    platform().verify(request(url, urlencode(fields), x_twilio_signature="2xqUEcsmV6QP8N1qIPfbRYfboxQ="), NOW)


def test_json_body_is_covered_by_its_hash_in_the_url() -> None:
    url = VECTOR_URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    signed = {"content_type": "application/json", "x_twilio_signature": "a9nBmqA0ju/hNViExpshrM61xv4="}
    body = '{"property": "value", "boolean": true}'

    platform().verify(request(url, body, **signed), NOW)
    with pytest.raises(SignatureError):
        platform().verify(request(url, body + " ", **signed), NOW)


def test_body_no_signature_covers_is_refused() -> None:
    signature = RequestValidator("12345").compute_signature(VECTOR_URL, {})

    with pytest.raises(SignatureError):
        platform().verify(request(VECTOR_URL, "{}", content_type="application/json", x_twilio_signature=signature), NOW)


def test_shared_key_signature_verifies_under_its_key_only() -> None:
    url, body = VECTOR_URL, urlencode(VECTOR)
    signature = "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="
    both = platform(shared_keys={"webhooks_sharedkey_1": "12345", "webhooks_sharedkey_2": "other"})

    def sent(settings: str) -> WebhookRequest:
        return request(url, body, x_twilio_signature=signature, x_twilio_webhooks_signature_settings=settings)

    both.verify(sent("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), NOW)
    both.verify(sent(" algorithm = hmac_sha256 , key = webhooks_sharedkey_1 "), NOW)
    for settings in (
        "key=webhooks_sharedkey_2,algorithm=HMAC_SHA256",
        "key=unknown,algorithm=HMAC_SHA256",
        "algorithm=HMAC_SHA256",
        "key=webhooks_sharedkey_1,algorithm=NONE",
        "key=webhooks_sharedkey_1,algorithm=HMAC_SHA1",
        "",
    ):
        with pytest.raises(SignatureError):
            both.verify(sent(settings), NOW)


def test_every_token_of_a_rotation_verifies() -> None:
    rotating = platform(auth_tokens=["new", "old"])

    for token in ("new", "old"):
        signature = RequestValidator(token).compute_signature(VECTOR_URL, VECTOR)
        rotating.verify(request(VECTOR_URL, urlencode(VECTOR), x_twilio_signature=signature), NOW)


@pytest.mark.parametrize(
    "signature", ["", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "!", "ø", "\udcff", "RSOYDt4T1cUTdK1PDd93/VVr8B8"]
)
def test_wrong_signatures_are_one_and_the_same_refusal(signature: str) -> None:
    with pytest.raises(SignatureError) as refusal:
        platform().verify(request(VECTOR_URL, urlencode(VECTOR), x_twilio_signature=signature), NOW)

    assert str(refusal.value) == str(SignatureError())


def test_another_parameter_or_url_breaks_the_signature() -> None:
    signature = RequestValidator("12345").compute_signature(VECTOR_URL, VECTOR)

    for url, fields in ((VECTOR_URL, VECTOR | {"Digits": "1"}), (VECTOR_URL + "&cause=consent", VECTOR)):
        with pytest.raises(SignatureError):
            platform().verify(request(url, urlencode(fields), x_twilio_signature=signature), NOW)


def test_without_an_account_nothing_verifies() -> None:
    off = platform(account_sid="", auth_tokens=[])
    signature = RequestValidator("").compute_signature(VECTOR_URL, VECTOR)

    with pytest.raises(SignatureError):
        off.verify(request(VECTOR_URL, urlencode(VECTOR), x_twilio_signature=signature), NOW)


def test_account_without_token_stops_the_start() -> None:
    with pytest.raises(ConfigurationError):
        platform(auth_tokens=[])


headers = st.dictionaries(
    st.sampled_from(["content-type", "x-twilio-signature", "x-twilio-webhooks-signature-settings"]),
    st.one_of(st.text(), st.sampled_from([FORM, "algorithm=HMAC_SHA256,key=k", "=,=,="])),
)


@given(
    headers=headers,
    body=st.binary(),
    url=st.text(),
    query=st.dictionaries(st.sampled_from(["bodySHA256", "cause", "script"]), st.text()),
)
def test_no_header_or_body_makes_verify_raise_anything_else(
    headers: dict[str, str], body: bytes, url: str, query: dict[str, str]
) -> None:
    with pytest.raises(SignatureError):
        platform(shared_keys={"k": "secret"}).verify(WebhookRequest(url, "voice", query, headers, body), NOW)


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


def recording(query: str = "", **fields: str) -> WebhookRequest:
    return form("recording", {"AccountSid": ACCOUNT, "CallSid": CALL, "RecordingSid": RECORDING, **fields}, query)


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


def reaching(rest_url: str) -> Twilio:
    return platform(api_url=rest_url, auth_tokens=["first", "second"])


def source(recording_id: str = RECORDING) -> Source:
    return Source("twilio", CALL, recording_id, url="http://169.254.169.254/latest/meta-data")


def test_media_address_is_built_and_never_taken_from_the_callback(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, bytes(2_000_000))

    with reaching(rest.url).fetch(source(), NOW) as media:
        assert sum(map(len, media.chunks(65_536))) == 2_000_000

    credentials = base64.b64encode(f"{ACCOUNT}:first".encode()).decode()
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.wav"
    assert rest.seen == [("GET", path, f"Basic {credentials}")]


@pytest.mark.parametrize("status", [204, 404])
def test_deleted_or_gone_already_is_done(far_side: Callable[..., Any], status: int) -> None:
    rest = far_side(status)

    assert reaching(rest.url).delete(source())

    assert rest.asked == [("DELETE", f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.json")]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_refused_deletion_is_tried_again(far_side: Callable[..., Any], status: int) -> None:
    with pytest.raises(PlatformError) as failure:
        reaching(far_side(status).url).delete(source())

    assert failure.value.retryable


def test_recording_ids_that_are_none_are_never_asked_for() -> None:
    with pytest.raises(PlatformError):
        platform().delete(source("../Accounts"))


def test_switched_off_nothing_is_asked_for() -> None:
    with pytest.raises(PlatformError) as failure:
        platform(account_sid="", auth_tokens=[]).delete(source())

    assert failure.value.retryable


PLACE = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Recordings.json"


def an_entry(number: int, **said: object) -> dict[str, object]:
    start = "Sun, 22 Nov 2026 14:00:00 +0000"
    known = {"sid": f"RE{number:032x}", "call_sid": CALL, "status": "completed", "start_time": start, "duration": "42"}
    return known | {"channels": 2, "source": "StartCallRecordingTwiML", "error_code": None} | said


def test_a_list_is_asked_for_as_twilios_own_client_would_and_read_page_by_page(far_side: Callable[..., Any]) -> None:
    pages = [
        {"recordings": [an_entry(1)], "next_page_uri": f"{PLACE}?PageSize=100&Page=1&PageToken=PA1"},
        {"recordings": [an_entry(2), an_entry(3, status="processing")], "next_page_uri": None},
    ]
    rest = far_side(200, *(json.dumps(page).encode() for page in pages))

    found = reaching(rest.url).recordings(CALL, NOW)

    credentials = base64.b64encode(f"{ACCOUNT}:first".encode()).decode()
    targets = [f"{PLACE}?PageSize=100", f"{PLACE}?PageSize=100&Page=1&PageToken=PA1"]
    assert rest.seen == [("GET", target, f"Basic {credentials}") for target in targets]
    assert [event.recording_id for event in found.events] == [f"RE{1:032x}", f"RE{2:032x}"]
    assert found.unfinished


def test_what_a_list_says_has_the_key_and_the_measures_of_a_callback(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, json.dumps({"recordings": [an_entry(0, sid=RECORDING)]}).encode())
    told = {"RecordingStartTime": "Sun, 22 Nov 2026 14:00:00 +0000", "RecordingDuration": "42"}
    source = {"RecordingSource": "StartCallRecordingTwiML"}

    (listed,) = reaching(rest.url).recordings(CALL, NOW).events
    (called,) = platform().parse(recording(RecordingStatus="completed", RecordingChannels="2", **told, **source), NOW)

    assert listed == replace(called, data=called.data | {"by_answer": "unsaid"})


@pytest.mark.parametrize("further", ["http://169.254.169.254/x", "//evil.example/x", "@evil.example/", f"{PLACE}/../x"])
def test_p2_a_list_never_sends_our_credentials_elsewhere(far_side: Callable[..., Any], further: str) -> None:
    rest = far_side(200, json.dumps({"recordings": [], "next_page_uri": further}).encode())

    with pytest.raises(PlatformError):
        reaching(rest.url).recordings(CALL, NOW)

    assert len(rest.seen) == 1


def test_a_list_without_an_end_is_left(far_side: Callable[..., Any]) -> None:
    rest = far_side(200, json.dumps({"recordings": [], "next_page_uri": f"{PLACE}?Page=1"}).encode())

    reaching(rest.url).recordings(CALL, NOW)

    assert len(rest.seen) == 5


def test_a_call_that_is_not_there_has_no_recordings(far_side: Callable[..., Any]) -> None:
    assert reaching(far_side(404).url).recordings(CALL, NOW) == Listing()


@pytest.mark.parametrize("status", [302, 401, 429, 500])
def test_a_list_that_is_refused_is_asked_for_again(far_side: Callable[..., Any], status: int) -> None:
    with pytest.raises(PlatformError) as failure:
        reaching(far_side(status).url).recordings(CALL, NOW)

    assert failure.value.retryable


@pytest.mark.parametrize("call_id", ["", "../Accounts", CALL + "/x", "pbx-1"])
def test_call_ids_that_are_none_are_never_asked_about(far_side: Callable[..., Any], call_id: str) -> None:
    rest = far_side(200, b'{"recordings": []}')

    with pytest.raises(PlatformError):
        reaching(rest.url).recordings(call_id, NOW)

    assert rest.seen == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*twilio_recordings.LISTED.values(), "call_sid"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(entries=st.lists(json_values, max_size=3), rest=json_values, body=st.binary())
@example(entries=[], rest=None, body=b'{"recordings": ' + b"[" * 300_000)
@example(entries=[{"sid": RECORDING, "status": "completed", "source": "\ud800"}], rest=None, body=b"")
@example(entries=[{"sid": RECORDING, "status": "failed", "error_code": "\ud800"}], rest=None, body=b"")
def test_no_list_makes_reading_it_or_keeping_what_it_says_raise_anything_else(
    entries: Any, rest: Any, body: bytes
) -> None:
    documents = (body, json.dumps(rest).encode(), json.dumps({"recordings": entries, "next_page_uri": rest}).encode())
    for document in documents:
        with suppress(PlatformError, InvalidEventError):
            found, _ = twilio_recordings.page(document)
            for event in twilio_recordings.listed(CALL, found, NOW).events:
                assert decode(encode(event)) == event


def test_sdk_and_we_agree_on_a_body_hash() -> None:
    body = json.dumps({"a": "æ"}, ensure_ascii=False)
    url = f"https://rec.example.com/x?bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
    signature = RequestValidator("12345").compute_signature(url, {})
    assert RequestValidator("12345").validate(url, body, signature)

    platform().verify(request(url, body, content_type="application/json", x_twilio_signature=signature), NOW)
