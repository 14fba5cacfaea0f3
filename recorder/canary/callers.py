"""Who makes a test call: Twilio itself, or for any other exchange we ourselves, in its place.

Both play the caller's row of beeps at one end and the agent's at the other (`recorder/audio/tones.py`).
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, timedelta
from typing import Protocol

from recorder import scripts, tokens
from recorder.actors import Actor
from recorder.audio import tones
from recorder.couriers.twilio import TwilioCaller
from recorder.errors import InvalidInputError, PlatformError
from recorder.fetch import call, origin_of
from recorder.lines import Line
from recorder.platforms import standard
from recorder.ports import Service
from recorder.voice import prompts
from storage.clock import rfc3339

CANARY = Actor("canary", "operator")

PLATFORM_SECRET = "whsec_"  # noqa: S105 -- only with one of these can we sign; whpk_ is the exchange's alone


class Caller(Protocol):
    def place(self, line: Line) -> None:
        """Start a call to the line; it goes on by itself. Raises a `RecorderError` where it does not begin."""
        ...


def caller_for(service: Service, line: Line) -> Caller:
    """Twilio for the lines whose callers it asks, ourselves for all others. Raises `InvalidInputError`."""
    if not service.settings.canary.number:
        raise InvalidInputError("RECORDER_CANARY__NUMBER is not set: there is nobody to call from")
    if line.consent == "never":
        raise InvalidInputError("this line is never recorded")
    if line.consent == "ask":
        if not service.settings.canary.answers:
            raise InvalidInputError("RECORDER_CANARY__ANSWERS is not set: the call would ring a colleague")
        return LineCaller(service)
    secrets_known = service.settings.platforms.standard.secrets
    if not any(secret.get_secret_value().startswith(PLATFORM_SECRET) for secret in secrets_known):
        raise InvalidInputError("RECORDER_PLATFORMS__STANDARD__SECRETS is not set: we cannot sign as the exchange")
    return ExchangeCaller(service)


class LineCaller:
    """Has Twilio call the line from the canary's number: it waits the question out, presses 1 and beeps."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._telephone = TwilioCaller(service.settings.platforms.twilio, number=service.settings.canary.number)

    def place(self, line: Line) -> None:
        """Raises `DeliveryError` where Twilio does not take the call."""
        service = self._service
        with service.database.read() as connection:
            script = scripts.approved(connection, line.script, service.clock())
        if script is None:
            raise InvalidInputError("the line has no approved script to play")
        voice = prompts.Voice(service.settings.organisation_for(line.brand), script)
        beeps = f"{service.settings.http.public_url}/canary/caller.wav"
        self._telephone.ring(line.number, prompts.test_caller(voice, beeps))


class ExchangeCaller:
    """Speaks as an exchange of canonical events: signs what happened, and pushes what was recorded."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._base = service.settings.http.public_url
        self._call = f"canary-{secrets.token_hex(12)}"

    def place(self, line: Line) -> None:
        service = self._service
        now = service.clock()
        lasted = timedelta(seconds=tones.seconds())
        started, recording = now - lasted, f"{self._call}-1"
        inbound = line.call_kind != "sales"
        ends: dict[str, str | None] = {"from": service.settings.canary.number, "to": line.number}
        if not inbound:
            ends = {"from": line.number, "to": service.settings.canary.number}
        known: dict[str, str | None] = {"customer_type": line.customer_type} if line.customer_type else {}
        self._tell("call.started", {"direction": "inbound" if inbound else "outbound", **ends, **known})
        consent: dict[str, str | None] = {"method": "dtmf", "digit": "1"} if inbound else {"method": "verbal"}
        with service.database.read() as connection:
            script = scripts.approved(connection, line.script, now)
        if script is not None:
            consent["script"] = script.id
        self._tell("consent.granted", {**consent, "at": rfc3339(started)})
        self._tell("recording.started", {"recording_id": recording, "at": rfc3339(started)})
        self._tell("recording.stopped", {"recording_id": recording, "at": rfc3339(now)})
        self._tell("call.ended", {"ended_at": rfc3339(now)})
        self._push(recording)

    def _tell(self, kind: str, data: dict[str, str | None]) -> None:
        now = self._service.clock()
        body = json.dumps({"type": kind, "timestamp": rfc3339(now), "data": {"call_id": self._call, **data}}).encode()
        secret = next(
            secret.get_secret_value()
            for secret in self._service.settings.platforms.standard.secrets
            if secret.get_secret_value().startswith(PLATFORM_SECRET)
        )
        headers = standard.signed(secret, f"msg_{secrets.token_hex(16)}", now.astimezone(UTC), body)
        self._send("POST", "/webhooks/events", headers | {"content-type": "application/json"}, body)

    def _push(self, recording: str) -> None:
        with tokens.lent(self._service, "platform", "canary", actor=CANARY) as token:
            headers = {"authorization": f"Bearer {token}", "content-type": "audio/wav"}
            body = tones.wav([tones.samples("caller"), tones.samples("agent")])
            self._send("PUT", f"/v1/calls/{self._call}/recordings/{recording}", headers, body)

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        origins = [origin_of(self._base)]
        status = call(method, self._base + path, origins=origins, headers=headers, body=body, private_ok=True)
        if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP
            raise PlatformError(f"our own address answered {status}")
