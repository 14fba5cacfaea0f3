"""Twilio's signatures as its own SDK makes and publishes them; whatever does not verify is one and the same refusal."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from recorder.errors import ConfigurationError, SignatureError
from recorder.ports import WebhookRequest
from tests.recorder.platforms.twilios import ACCOUNT, CALL, FORM, NOW, RECORDING, platform, request

VECTOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTOR = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}


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


def test_sdk_and_we_agree_on_a_body_hash() -> None:
    body = json.dumps({"a": "æ"}, ensure_ascii=False)
    url = f"https://rec.example.com/x?bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
    signature = RequestValidator("12345").compute_signature(url, {})
    assert RequestValidator("12345").validate(url, body, signature)

    platform().verify(request(url, body, content_type="application/json", x_twilio_signature=signature), NOW)
