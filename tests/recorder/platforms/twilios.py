"""Twilio as it writes to us and as we reach it: an account, a call, its recording, and the requests it would send."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from recorder.platforms.twilio import Twilio
from recorder.ports import Source, WebhookRequest
from recorder.settings import Capture
from recorder.settings import Twilio as TwilioSettings

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
RECORDING = "RE" + "2" * 32
FORM = "application/x-www-form-urlencoded"


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


def recording(query: str = "", **fields: str) -> WebhookRequest:
    return form("recording", {"AccountSid": ACCOUNT, "CallSid": CALL, "RecordingSid": RECORDING, **fields}, query)


def reaching(rest_url: str) -> Twilio:
    return platform(api_url=rest_url, auth_tokens=["first", "second"])


def source(recording_id: str = RECORDING) -> Source:
    return Source("twilio", CALL, recording_id, url="http://169.254.169.254/latest/meta-data")
