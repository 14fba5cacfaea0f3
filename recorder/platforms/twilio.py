"""Twilio: form webhooks for four steps of a call, and recordings under SIDs.

Twilio signs no time, so a replay is recognised by its dedupe key alone: (CallSid, question, answer) and (RecordingSid,
status). A caller may be asked again and give the same answer, so the answer's address says when its question was asked.
Media addresses are built from settings and SIDs; the RecordingUrl of a callback is never looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from recorder import fetch, phones
from recorder.errors import ConfigurationError, InvalidEventError, PlatformError, SignatureError
from recorder.events import Event, EventType
from recorder.platforms import twilio_recordings
from recorder.platforms.twilio_recordings import BY_CONSENT, CAUSE, PLATFORM, RECORDING_SID
from recorder.ports import Listing, Media, Source, WebhookRequest
from recorder.settings import Capture, is_loopback
from recorder.settings import Twilio as TwilioSettings
from storage.clock import rfc3339

SIGNATURE = "x-twilio-signature"
SIGNATURE_SETTINGS = "x-twilio-webhooks-signature-settings"  # key=<id>,algorithm=HMAC_SHA256, since 2026
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
OVER = frozenset(["completed", "busy", "failed", "no-answer", "canceled"])
YES = "1"
PAGE_TIMEOUT_S = 30
MOST_PAGES, PAGE_SIZE, PAGE_BYTES = 5, 100, 1_000_000  # of a list; Twilio's entries have about a thousand bytes

__all__ = ["BY_CONSENT", "CAUSE", "Twilio", "consent_requested", "key_pressed", "played"]


class Twilio:
    """`/webhooks/twilio/{voice,consent,recording,status}`. Without an account nothing verifies."""

    name = PLATFORM

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
                return twilio_recordings.told(call_id, fields, request.query, now)
            case "status":
                return _status(call_id, fields, now)
        raise InvalidEventError("no such step of a call")

    def fetch(self, source: Source, now: datetime) -> AbstractContextManager[Media]:  # noqa: ARG002 -- the port's
        return fetch.open_url(
            "GET",
            self._recording_url(source, ".wav"),  # not ?RequestedChannels=2: refused for what was recorded in one
            headers=self._headers(),
            origins=[self._rest],
            timeout_s=self._capture.fetch_timeout_s,
            max_bytes=self._capture.max_bytes,
            private_ok=self._private_ok,
        )

    def delete(self, source: Source) -> bool:
        status = fetch.call(
            "DELETE",
            self._recording_url(source, ".json"),
            headers=self._headers(),
            origins=[self._rest],
            private_ok=self._private_ok,
        )
        if not (200 <= status < 300 or status == 404):  # noqa: PLR2004 -- gone already is done
            raise PlatformError(f"Twilio answered {status} to a deletion")
        return True

    def recordings(self, call_id: str, now: datetime) -> Listing:
        if not CALL_SID.fullmatch(call_id):
            raise PlatformError("not a call of Twilio's")
        place = f"/2010-04-01/Accounts/{self._account}/Calls/{call_id}/Recordings.json?"
        found: list[Any] = []
        following: str | None = f"{place}PageSize={PAGE_SIZE}"
        for _ in range(MOST_PAGES):
            if following is None:
                break
            if not following.startswith(place):  # where our credentials go is not for an answer to say
                raise PlatformError("Twilio's list goes on elsewhere")
            entries, following = self._page(following)
            found += entries
        return twilio_recordings.listed(call_id, found, now)

    def _page(self, target: str) -> tuple[list[Any], str | None]:
        with fetch.open_url(
            "GET",
            self._rest + target,
            headers=self._headers(),
            origins=[self._rest],
            timeout_s=PAGE_TIMEOUT_S,
            max_bytes=PAGE_BYTES,
            private_ok=self._private_ok,
        ) as answer:
            if answer.status == 404:  # noqa: PLR2004 -- a call it does not know has no recordings
                return [], None
            if answer.status != 200:  # noqa: PLR2004 -- HTTP
                raise PlatformError(f"Twilio answered {answer.status} to a question")
            return twilio_recordings.page(b"".join(answer.chunks(PAGE_BYTES)))

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
    """The event that our answer to `voice` plays the question: the line table knows that, the webhook does not."""
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
    """What the consent address says of the question, in characters that no client on the way re-encodes."""
    name, _, version = script.partition("@")
    return {"script": name, "version": version, "language": language}


def _played(query: Mapping[str, str]) -> dict[str, str]:
    script, version, language = (query.get(name, "")[:64] for name in ("script", "version", "language"))
    return {"script": f"{script}@{version}", "language": language} if script and version and language else {}


def _status(call_id: str, fields: Mapping[str, str], now: datetime) -> list[Event]:
    """The end of the call. A child leg's end is not the call's."""
    status = fields.get("CallStatus", "")
    if status not in OVER or fields.get("ParentCallSid"):
        return []
    at = twilio_recordings.time(fields.get("Timestamp"), now)
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
