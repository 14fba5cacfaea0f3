"""Twilio: form webhooks for four steps of a call, and recordings under SIDs.

Twilio signs no time, so a replay is told by its dedupe key alone: (CallSid, question, answer) and (RecordingSid,
status). A caller may be asked again and say the same again; the address of the answer says when the question was asked.
Media addresses are built from settings and SIDs; the RecordingUrl of a callback is never looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from recorder import fetch, phones
from recorder.errors import ConfigurationError, InvalidEventError, PlatformError, SignatureError
from recorder.events import Event, EventType
from recorder.platforms.fields import DAY_MS, instant, plausible
from recorder.ports import Media, Source, WebhookRequest
from recorder.settings import Capture, is_loopback
from recorder.settings import Twilio as TwilioSettings
from storage.clock import rfc3339

SIGNATURE = "x-twilio-signature"
SIGNATURE_SETTINGS = "x-twilio-webhooks-signature-settings"  # key=<id>,algorithm=HMAC_SHA256, since 2026
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
RECORDING_SID = re.compile(r"RE[0-9a-fA-F]{32}")
DIGITS = re.compile(r"[0-9]{1,6}")
OVER = frozenset(["completed", "busy", "failed", "no-answer", "canceled"])
YES = "1"
CAUSE = "cause"  # query parameter of the callback address in our own answer to the yes; signed with it
BY_CONSENT = "consent"


class Twilio:
    """`/webhooks/twilio/{voice,consent,recording,status}`. Without an account nothing verifies."""

    name = "twilio"

    def __init__(self, settings: TwilioSettings, capture: Capture) -> None:
        """Raises `ConfigurationError` for an account without a token: its recordings could not be fetched."""
        if settings.account_sid and not settings.auth_tokens:
            raise ConfigurationError("RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS is missing")
        self._account = settings.account_sid
        self._capture = capture
        self._tokens = tuple(token.get_secret_value().encode() for token in settings.auth_tokens)
        self._shared = {key: secret.get_secret_value().encode() for key, secret in settings.shared_keys.items()}
        self._rest = settings.rest_url
        self._private_ok = is_loopback(self._rest)

    def verify(self, request: WebhookRequest, now: datetime) -> None:  # noqa: ARG002 -- Twilio signs no time
        algorithm, secrets = self._scheme(request.headers.get(SIGNATURE_SETTINGS, ""))
        given = request.headers.get(SIGNATURE, "").encode("utf-8", "replace")
        signed = _signed_parameters(request)
        for url in _port_variants(request.url):
            text = (url + signed).encode("utf-8", "replace")
            for secret in secrets:
                expected = base64.b64encode(hmac.digest(secret, text, algorithm))
                if hmac.compare_digest(expected, given):
                    return
        raise SignatureError

    def parse(self, request: WebhookRequest, now: datetime) -> list[Event]:
        fields = _fields(request)
        if fields.get("AccountSid", self._account) != self._account:
            raise InvalidEventError("AccountSid is another account's")
        call_id = fields.get("CallSid", "")
        if not CALL_SID.fullmatch(call_id):
            raise InvalidEventError("CallSid is missing or malformed")
        match request.path:
            case "voice":
                return [_call_started(call_id, fields, now)]
            case "consent":
                return [_consent(call_id, fields, request.query, now)]
            case "recording":
                return _recording(call_id, fields, request.query, now)
            case "status":
                return _status(call_id, fields, now)
        raise InvalidEventError("no such step of a call")

    def fetch(self, source: Source, now: datetime) -> AbstractContextManager[Media]:  # noqa: ARG002 -- the port's
        return fetch.open_url(
            "GET",
            self._recording_url(source, ".wav?RequestedChannels=2"),
            headers=self._headers(),
            origins=[self._rest],
            timeout_s=self._capture.fetch_timeout_s,
            max_bytes=self._capture.max_bytes,
            private_ok=self._private_ok,
        )

    def delete(self, source: Source) -> None:
        status = fetch.call(
            "DELETE",
            self._recording_url(source, ".json"),
            headers=self._headers(),
            origins=[self._rest],
            private_ok=self._private_ok,
        )
        if not (200 <= status < 300 or status == 404):  # noqa: PLR2004 -- gone already is done
            raise PlatformError(f"Twilio answered {status} to a deletion")

    def _recording_url(self, source: Source, ending: str) -> str:
        if not RECORDING_SID.fullmatch(source.recording_id):
            raise PlatformError("not a recording of Twilio's")
        return f"{self._rest}/2010-04-01/Accounts/{self._account}/Recordings/{source.recording_id}{ending}"

    def _headers(self) -> dict[str, str]:
        if not self._tokens:
            raise PlatformError("Twilio is switched off; its recordings wait there")
        credentials = self._account.encode() + b":" + self._tokens[0]
        return {"authorization": "Basic " + base64.b64encode(credentials).decode()}

    def _scheme(self, header: str) -> tuple[Literal["sha1", "sha256"], tuple[bytes, ...]]:
        """Algorithm and secrets. The header is unsigned, but choosing wrongly only makes the signature fail."""
        chosen = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in header.split(","))}
        algorithm = chosen.get("algorithm", "").upper() or "HMAC_SHA1"
        if algorithm == "HMAC_SHA1":
            return "sha1", self._tokens
        secret = self._shared.get(chosen.get("key", ""))
        if algorithm != "HMAC_SHA256" or secret is None:
            raise SignatureError
        return "sha256", (secret,)


def key_pressed(request: WebhookRequest) -> str:
    """The key pressed in a call that reads a code aloud; nothing of it is kept. Raises `InvalidEventError`."""
    return _fields(request).get("Digits", "")[:8]


def _signed_parameters(request: WebhookRequest) -> str:
    """What is signed besides the URL: the form's fields, sorted and each once; or a body whose hash the URL holds."""
    if _is_form(request):
        return "".join(name + value for name, value in sorted(set(_pairs(request.body, SignatureError))))
    stated = request.query.get("bodySHA256", "").encode("utf-8", "replace")
    if request.body and not hmac.compare_digest(hashlib.sha256(request.body).hexdigest().encode(), stated):
        raise SignatureError
    return ""


def _is_form(request: WebhookRequest) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _pairs(body: bytes, error: type[SignatureError | InvalidEventError]) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise error from exc


def _port_variants(url: str) -> tuple[str, str]:
    """The URL with and without its port: Twilio signs either."""
    scheme, _, rest = url.partition("://")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, tail = rest[:cut], rest[cut:]
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, "443" if scheme == "https" else "80"
    return f"{scheme}://{name}{tail}", f"{scheme}://{name}:{port}{tail}"


def _fields(request: WebhookRequest) -> dict[str, str]:
    if not _is_form(request):
        raise InvalidEventError("the body must be a form")
    pairs = _pairs(request.body, InvalidEventError)
    fields = dict(pairs)
    if len(fields) != len(pairs):  # the signature does not cover which of two values comes first
        raise InvalidEventError("a field stands twice")
    return fields


def _call_started(call_id: str, fields: Mapping[str, str], now: datetime) -> Event:
    return Event(
        "call.started",
        Twilio.name,
        call_id,
        f"{call_id}:started",
        at=now,
        clock="service",
        opens=True,
        data=_ends(fields),
    )


def _ends(fields: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "direction": "inbound" if fields.get("Direction", "inbound") == "inbound" else "outbound",
        "from": phones.normalise(fields.get("From", "")),
        "to": phones.normalise(fields.get("To", "")),
    }


def consent_requested(started: Event, *, script: str, language: str, now: datetime) -> Event:
    """That our answer to `voice` plays the question: the line table knows, the webhook does not."""
    data = {"method": "dtmf", "script": script, "language": language}
    key = f"{started.call_id}:requested"
    return Event("consent.requested", Twilio.name, started.call_id, key, at=now, clock="service", data=data)


def _consent(call_id: str, fields: Mapping[str, str], query: Mapping[str, str], now: datetime) -> Event:
    """The key pressed. What was asked stands in the address we gave out, which Twilio signs."""
    digits = fields.get("Digits", "")[:8]
    kind: EventType = "consent.granted" if digits == YES else "consent.refused" if digits else "consent.unanswered"
    data: dict[str, Any] = {"method": "dtmf", "digit": digits or None, **_ends(fields)}
    data |= _played(query)
    key = ":".join([call_id, "consent", *([asked] if (asked := query.get("asked", "")[:64]) else []), digits])
    return Event(kind, Twilio.name, call_id, key, at=now, clock="service", data=data)


def played(script: str, language: str) -> dict[str, str]:
    """What the consent address says of the question, in characters no client on the way spells differently."""
    name, _, version = script.partition("@")
    return {"script": name, "version": version, "language": language}


def _played(query: Mapping[str, str]) -> dict[str, str]:
    script, version, language = (query.get(name, "")[:64] for name in ("script", "version", "language"))
    return {"script": f"{script}@{version}", "language": language} if script and version and language else {}


def _recording(call_id: str, fields: Mapping[str, str], query: Mapping[str, str], now: datetime) -> list[Event]:
    recording_id = fields.get("RecordingSid", "")
    if not RECORDING_SID.fullmatch(recording_id):
        raise InvalidEventError("RecordingSid is missing or malformed")
    status = fields.get("RecordingStatus", "")
    kind = RECORDING_TYPES.get(status)
    if kind is None:
        return []
    started_at = _time(fields.get("RecordingStartTime"), now)
    data: dict[str, Any] = {"recording_id": recording_id, "by_answer": _by_answer(fields, query)}
    if source := fields.get("RecordingSource"):
        data["source"] = source[:64]
    if kind == "recording.started":
        data["at"] = rfc3339(started_at)
    elif kind == "recording.available":
        data |= {"started_at": rfc3339(started_at), "content_type": "audio/wav"} | _measures(fields)
    else:
        data["reason"] = (fields.get("ErrorCode") or status)[:64]
    at = started_at if kind == "recording.started" else None
    return [Event(kind, Twilio.name, call_id, f"{recording_id}:{status}", at=at, data=data)]


RECORDING_TYPES: dict[str, EventType] = {
    "in-progress": "recording.started",
    "completed": "recording.available",
    "absent": "recording.absent",
    "failed": "recording.failed",
}


def _by_answer(fields: Mapping[str, str], query: Mapping[str, str]) -> bool | str:
    """Whether our own TwiML started the recording; "maybe" where the REST API did, in the name of whoever asked it."""
    if query.get(CAUSE) == BY_CONSENT:
        return True
    source = fields.get("RecordingSource", "").lower()
    if source == "startcallrecordingapi":
        return "maybe"
    return source in {"", "startcallrecordingtwiml"}


def _measures(fields: Mapping[str, str]) -> dict[str, int]:
    measures = {}
    if (seconds := _number(fields, "RecordingDuration", DAY_MS // 1000)) is not None:
        measures["duration_ms"] = seconds * 1000
    if (channels := _number(fields, "RecordingChannels", 2)) is not None:
        measures["channels"] = channels
    return measures


def _number(fields: Mapping[str, str], name: str, high: int) -> int | None:
    text = fields.get(name, "")
    if not text:
        return None
    if not DIGITS.fullmatch(text) or int(text) > high:
        raise InvalidEventError(f"{name} is not a number it can have")
    return int(text)


def _status(call_id: str, fields: Mapping[str, str], now: datetime) -> list[Event]:
    """The end of the call. A child leg's end is not the call's."""
    status = fields.get("CallStatus", "")
    if status not in OVER or fields.get("ParentCallSid"):
        return []
    at = _time(fields.get("Timestamp"), now)
    return [
        Event(
            "call.ended",
            Twilio.name,
            call_id,
            f"{call_id}:ended",
            at=at or now,
            clock="platform" if at else "service",
            stamped_at=at,
            data={"ended_at": rfc3339(at or now)},
        )
    ]


def _time(text: str | None, now: datetime) -> datetime | None:
    """RFC 2822, as Twilio writes times today, or RFC 3339."""
    if not text:
        return None
    try:
        stated = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return instant(text, now)
    return plausible(stated if stated.tzinfo else stated.replace(tzinfo=UTC), now)
