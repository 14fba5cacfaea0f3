"""SMS by a gateway and by Twilio, calls by Twilio: what goes over the wire, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from recorder.couriers import caller_for, texter_for
from recorder.couriers.gateway import GatewayTexter
from recorder.couriers.twilio import TwilioCaller, TwilioTexter
from recorder.errors import ConfigurationError, DeliveryError, DeliveryRefusedError, DeliveryUnknownError
from recorder.settings import Twilio, load
from tests.conftest import TWILIO_SID, TWILIO_TOKEN
from tests.servers.gateway import Gateway

NUMBER = "+4520123456"


def account(gateway: Gateway) -> Twilio:
    return Twilio(account_sid=TWILIO_SID, auth_tokens=(TWILIO_TOKEN,), api_url=gateway.url)


def at(gateway: Gateway, login: str = "") -> GatewayTexter:
    return GatewayTexter(gateway.url.replace("://", f"://{login}") + "/sms")


def test_sms_goes_to_the_gateway(gateway: Gateway) -> None:
    at(gateway, "s3cret@").send(NUMBER, "hej æøå")
    at(gateway, "user:pass@").send(NUMBER, "hej")

    first, second = gateway.taken
    assert first[:3] == ("POST", "/sms", "Bearer s3cret")
    assert json.loads(first[3]) == {"to": NUMBER, "text": "hej æøå"}
    assert second[2] == "Basic dXNlcjpwYXNz"


class _NoNetwork(TwilioHttpClient):
    """Twilio's own client, up to the point where it would send: the wire format to compare with."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def request(self, method: str, url: str, **rest: Any) -> Any:  # type: ignore[override]  # it would send
        self.asked.append((url, rest["data"]))
        raise ConnectionAbortedError


def by_twilios_own(act: Callable[[Client], object]) -> tuple[str, dict[str, str]]:
    http = _NoNetwork()
    with pytest.raises(ConnectionAbortedError):
        act(Client(TWILIO_SID, TWILIO_TOKEN, http_client=http))
    ((url, data),) = http.asked
    return url.removeprefix("https://api.twilio.com"), {name: _spelled(value) for name, value in data.items()}


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    ("sender", "named"),
    [
        ("+4570123456", {"from_": "+4570123456"}),
        ("Flexii", {"from_": "Flexii"}),
        ("MG" + "1" * 32, {"messaging_service_sid": "MG" + "1" * 32}),
    ],
)
def test_an_sms_is_what_twilios_own_client_would_send(gateway: Gateway, sender: str, named: dict[str, str]) -> None:
    TwilioTexter(account(gateway), sender=sender).send(NUMBER, "Din kode er 482109 æøå\n\n@x #482109")

    ((method, path, login, body),) = gateway.taken
    expected = by_twilios_own(
        lambda client: client.messages.create(
            to=NUMBER, body="Din kode er 482109 æøå\n\n@x #482109", validity_period=600, **named
        )
    )
    assert (method, (path, dict(parse_qsl(body.decode())))) == ("POST", expected)
    assert login is not None
    assert login.startswith("Basic ")


def test_a_call_is_what_twilios_own_client_would_start(gateway: Gateway) -> None:
    TwilioCaller(account(gateway), number="+4570123456").ring(NUMBER, "<Response><Say>hej &amp; æ</Say></Response>")

    ((_, path, _, body),) = gateway.taken
    assert (path, dict(parse_qsl(body.decode()))) == by_twilios_own(
        lambda client: client.calls.create(
            to=NUMBER,
            from_="+4570123456",
            twiml="<Response><Say>hej &amp; æ</Say></Response>",
            timeout=30,
            record=False,
        )
    )


def twilio_error(code: int) -> bytes:
    return json.dumps({"code": code, "message": f"The number {NUMBER} is not valid", "status": 400}).encode()


@pytest.mark.parametrize("code", [21211, 21610, 21614])
def test_a_number_that_takes_no_sms_is_refused_for_good(gateway: Gateway, code: int) -> None:
    gateway.answers = [(400, twilio_error(code))]
    with pytest.raises(DeliveryRefusedError) as refusal:
        TwilioTexter(account(gateway), sender="Flexii").send(NUMBER, "hej")
    assert str(code) in str(refusal.value)
    assert NUMBER not in str(refusal.value)


@pytest.mark.parametrize(
    "answer",
    [
        (401, twilio_error(20003)),
        (429, b"slow down"),
        (503, b""),
        (400, b"[]"),
        (400, b'{"code":"21211"}'),
        (400, b"[" * 60_000),
    ],
)
def test_any_other_trouble_of_twilios_is_tried_again(gateway: Gateway, answer: tuple[int, bytes]) -> None:
    gateway.answers = [answer]
    with pytest.raises(DeliveryError) as failure:
        TwilioTexter(account(gateway), sender="Flexii").send(NUMBER, "hej")
    assert type(failure.value) is DeliveryError


def test_a_lost_answer_is_known_to_be_unknown_and_an_absent_gateway_is_not(gateway: Gateway) -> None:
    for texter in (TwilioTexter(account(gateway), sender="Flexii"), at(gateway)):
        gateway.answers = [(0, b"")]
        with pytest.raises(DeliveryUnknownError):
            texter.send(NUMBER, "hej")
    with pytest.raises(DeliveryError) as away:
        GatewayTexter("http://127.0.0.1:1/sms").send(NUMBER, "hej")
    assert type(away.value) is DeliveryError


def test_a_gateway_that_refuses_is_tried_again(gateway: Gateway) -> None:
    gateway.answers = [(500, b"")]
    with pytest.raises(DeliveryError, match="500"):
        at(gateway).send(NUMBER, "hej")


def test_settings_choose_the_courier() -> None:
    twilio = {
        "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
        "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
        "RECORDER_SMS__CALL_FROM": "+4570123456",
    }
    by_twilio = load(twilio | {"RECORDER_SMS__URL": "twilio://+4570123456"})
    assert isinstance(texter_for(by_twilio), TwilioTexter)
    assert isinstance(caller_for(by_twilio), TwilioCaller)
    assert caller_for(load({})) is None
    for wanting in ({"RECORDER_SMS__URL": "twilio://Flexii"}, {"RECORDER_SMS__CALL_FROM": "+4570123456"}):
        with pytest.raises(ConfigurationError, match="ACCOUNT_SID"):
            texter_for(load(wanting))
            caller_for(load(wanting))


def test_sms_by_twilio_stays_in_the_eea_without_saying_so_twice() -> None:
    environment = {
        "RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID": TWILIO_SID,
        "RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
        "RECORDER_SMS__URL": "twilio://Flexii",
    }
    assert ("sms", "IE") in load(environment).declared_countries()
    with pytest.raises(ConfigurationError, match=r"sms \(US\)"):
        load(environment | {"RECORDER_PLATFORMS__TWILIO__REGION": "us1"})


def test_p2_a_gateway_is_told_codes_under_tls_or_on_this_machine() -> None:
    environment = {"RECORDER_SMS__URL": "http://sms.example.dk/send", "RECORDER_SMS__COUNTRY": "DK"}
    with pytest.raises(ConfigurationError, match="https"):
        texter_for(load(environment))
    for url in ("https://sms.example.dk/send", "http://127.0.0.1:9000/send"):
        assert isinstance(texter_for(load(environment | {"RECORDER_SMS__URL": url})), GatewayTexter)
