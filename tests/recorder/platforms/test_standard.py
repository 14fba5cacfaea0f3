"""Standard Webhooks: the published vector, the reference library's signatures, Ed25519; audio only from the list."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from recorder.errors import ConfigurationError, InvalidEventError, PlatformError, SignatureError
from recorder.events import decode, encode
from recorder.platforms.standard import Standard
from recorder.ports import Source, WebhookRequest
from recorder.settings import Capture
from recorder.settings import Standard as StandardSettings

NOW = datetime.fromtimestamp(1614265330, UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def platform(*secrets: str, **settings: object) -> Standard:
    return Standard(StandardSettings.model_validate({"secrets": list(secrets or [SECRET]), **settings}), Capture())


def request(body: bytes = BODY, **headers: str) -> WebhookRequest:
    given_headers = VECTOR | {name.replace("_", "-"): value for name, value in headers.items()}
    return WebhookRequest("https://rec.example.com/webhooks/events", "events", {}, given_headers, body)


def test_published_signature_verifies() -> None:
    platform().verify(request(), NOW)


def test_reference_library_signs_what_we_verify() -> None:
    body = '{"type": "call.updated", "æ": 1}'
    signature = Webhook(SECRET).sign("msg_1", NOW, body)

    platform().verify(request(body.encode(), webhook_id="msg_1", webhook_signature=signature), NOW)


def ed25519(seed: int) -> tuple[str, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode(), key


def v1a(key: Ed25519PrivateKey, body: bytes = BODY) -> str:
    signed = f"{VECTOR['webhook-id']}.{VECTOR['webhook-timestamp']}.".encode() + body
    return "v1a," + base64.b64encode(key.sign(signed)).decode()


def test_ed25519_signature_verifies_under_its_key_only() -> None:
    (public, private), (other, _) = ed25519(1), ed25519(2)

    platform(public).verify(request(webhook_signature=v1a(private)), NOW)
    platform(SECRET, other, public).verify(request(webhook_signature=v1a(private)), NOW)
    for wrong in (platform(other), platform(SECRET)):
        with pytest.raises(SignatureError):
            wrong.verify(request(webhook_signature=v1a(private)), NOW)
    with pytest.raises(SignatureError):
        platform(public).verify(request(webhook_signature=v1a(private, b"other")), NOW)


def test_one_good_signature_among_many_is_enough() -> None:
    good = VECTOR["webhook-signature"]
    old = Webhook("whsec_" + base64.b64encode(b"o" * 24).decode()).sign("x", NOW, "")

    for header in (
        f"{old} {good}",
        f"v2,abc {good}",
        f"v1,!!! nonsense v1 , {good}",
        f"v1a,AAAA {good}  ",
        "x " * 15 + good,
    ):
        platform().verify(request(webhook_signature=header), NOW)


def test_every_secret_of_a_rotation_verifies() -> None:
    other = "whsec_" + base64.b64encode(b"n" * 32).decode()

    platform(other, SECRET).verify(request(), NOW)


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_secret_counts_with_or_without_its_padding(size: int) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    signature = Webhook(secret).sign(VECTOR["webhook-id"], NOW, BODY.decode())

    for spelt in (secret, secret.rstrip("=")):
        platform(spelt).verify(request(webhook_signature=signature), NOW)


def test_tolerance_is_five_minutes_both_ways() -> None:
    for seconds in (-300, 300):
        platform().verify(request(), NOW + timedelta(seconds=seconds))
    for seconds in (-301, 301):
        with pytest.raises(SignatureError):
            platform().verify(request(), NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook_id": ""},
        {"webhook_id": "msg 1"},
        {"webhook_id": "m" * 257},
        {"webhook_id": "msg_ø"},
        {"webhook_id": "msg_other"},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": "now"},
        {"webhook_timestamp": "1614265330.0"},
        {"webhook_timestamp": "-1614265330"},
        {"webhook_timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"webhook_timestamp": "9" * 5000},
        {"webhook_timestamp": "1614265331"},
        {"webhook_signature": ""},
        {"webhook_signature": "v1"},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,ø"},
        {"webhook_signature": VECTOR["webhook-signature"].removeprefix("v1,")},
        {"webhook_signature": VECTOR["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook_signature": VECTOR["webhook-signature"].replace("v1,", "v0,")},
        {"webhook_signature": "x " * 16 + VECTOR["webhook-signature"]},
    ],
)
def test_malformed_headers_are_one_and_the_same_refusal(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError) as refusal:
        platform().verify(request(**headers), NOW)

    assert str(refusal.value) == str(SignatureError())


@pytest.mark.parametrize("message_id", ["", "msg 1", "m" * 257, "msg_ø"])
def test_a_message_id_that_is_none_is_refused_however_well_it_is_signed(message_id: str) -> None:
    signature = Webhook(SECRET).sign(message_id, NOW, BODY.decode())

    with pytest.raises(SignatureError):
        platform().verify(request(webhook_id=message_id, webhook_signature=signature), NOW)


@pytest.mark.parametrize("missing", list(VECTOR))
def test_a_missing_header_is_the_same_refusal(missing: str) -> None:
    headers = {name: value for name, value in VECTOR.items() if name != missing}

    with pytest.raises(SignatureError):
        platform().verify(WebhookRequest("https://h/", "events", {}, headers, BODY), NOW)


def test_another_body_breaks_the_signature() -> None:
    with pytest.raises(SignatureError):
        platform().verify(request(BODY + b" "), NOW)


def test_without_secrets_nothing_verifies() -> None:
    with pytest.raises(SignatureError):
        Standard(StandardSettings(), Capture()).verify(request(), NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_!",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!w",
        "whpk_AAAA",
    ],
)
def test_secrets_that_are_none_stop_the_start(secret: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        platform(secret)

    assert secret not in str(fault.value).replace("whsec_ takes", "")


def test_media_origin_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigurationError):
        platform(media_origins=["ftp://pbx.example.com"])


odd = st.one_of(st.text(), st.sampled_from(["1614265330", "msg_1", "v1,AAAA", "v1a," + "A" * 86 + "=="]))


@given(headers=st.dictionaries(st.sampled_from([*VECTOR, "content-type"]), odd), body=st.binary())
def test_no_header_or_body_makes_verify_raise_anything_else(headers: dict[str, str], body: bytes) -> None:
    everything = platform(SECRET, ed25519(1)[0])

    with pytest.raises(SignatureError):
        everything.verify(WebhookRequest("https://h/", "events", {}, headers, body), NOW)


@given(body=st.binary())
def test_no_bytes_make_parse_raise_anything_else(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        platform().parse(request(body), NOW)


def test_event_carries_id_and_clocks() -> None:
    body = b'{"type":"call.ended","timestamp":"2021-02-25T15:02:05.5+00:00","data":{"call_id":"pbx-81"}}'

    (event,) = platform().parse(request(body), NOW)

    assert (event.platform, event.key, event.call_id) == ("standard", VECTOR["webhook-id"], "pbx-81")
    assert event.at == datetime(2021, 2, 25, 15, 2, 5, 500_000, tzinfo=UTC)
    assert event.stamped_at == NOW
    assert decode(encode(event)) == event


def source(url: str | None) -> Source:
    return Source("standard", "pbx-81", "rec-1", url=url)


def test_token_goes_to_listed_origins_and_nowhere_else(far_side: Callable[..., Any]) -> None:
    listed, other = far_side(200, bytes(2_000_000)), far_side(200)
    standard = platform(media_origins=[listed.url], media_token="t0ken")

    with standard.fetch(source(f"{listed.url}/rec-1.wav"), NOW) as media:
        assert sum(map(len, media.chunks(65_536))) == 2_000_000
    with pytest.raises(PlatformError), standard.fetch(source(f"{other.url}/rec-1.wav"), NOW):
        pass
    assert not standard.delete(source(f"{other.url}/rec-1.wav"))

    assert standard.delete(source(f"{listed.url}/rec-1.wav"))

    assert listed.seen == [(method, "/rec-1.wav", "Bearer t0ken") for method in ("GET", "DELETE")]
    assert other.seen == []


def test_recording_without_address_cannot_be_fetched_and_needs_no_deletion() -> None:
    with pytest.raises(PlatformError), platform().fetch(source(None), NOW):
        pass
    assert not platform().delete(source(None))


def test_p1_asterisks_copy_is_deleted_and_not_only_its_download_asked_for_it(far_side: Callable[..., Any]) -> None:
    exchange = far_side(204)
    stored = f"{exchange.url}/ari/recordings/stored/1795356669.0"

    for download in ("/file", "/file?api_key=name:password", ""):
        platform(media_origins=[exchange.url]).delete(source(stored + download))

    asked = "/ari/recordings/stored/1795356669.0"
    assert [path for _, path in exchange.asked] == [asked, f"{asked}?api_key=name:password", asked]


@pytest.mark.parametrize(
    ("status", "gone"), [(200, True), (202, True), (204, True), (404, True), (410, True), (405, False), (501, False)]
)
def test_deleted_gone_or_never_deletable_is_done(far_side: Callable[..., Any], status: int, gone: bool) -> None:
    exchange = far_side(status)

    assert platform(media_origins=[exchange.url]).delete(source(f"{exchange.url}/rec-1.wav")) is gone

    assert exchange.asked == [("DELETE", "/rec-1.wav")]


@pytest.mark.parametrize("status", [302, 401, 429, 500, 503])
def test_refused_deletion_is_tried_again(far_side: Callable[..., Any], status: int) -> None:
    exchange = far_side(status)

    with pytest.raises(PlatformError) as failure:
        platform(media_origins=[exchange.url]).delete(source(f"{exchange.url}/rec-1.wav"))

    assert failure.value.retryable
