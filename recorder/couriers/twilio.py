"""SMS and calls by Twilio's REST API, in the account's region: addresses are built from settings and the account's SID.

`ie1` keeps what is sent there; what a mobile network does on the way is its own. Nothing of a message is logged.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

from recorder import fetch
from recorder.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnknownError,
    PlatformError,
    PlatformUnreachableError,
)
from recorder.settings import Twilio, is_loopback

TIMEOUT_S = 30
LONGEST_ANSWER = 65_536
VALID_SECONDS = 600  # a code that comes later opens nothing
RING_SECONDS = 30
# The number itself is the trouble, and will be tomorrow: invalid, unreachable, said STOP, not a mobile, blocked.
UNREACHABLE = frozenset([13223, 13224, 21211, 21214, 21217, 21610, 21614])


class TwilioTexter:
    """`sender` is a number, a name, or the SID of a messaging service."""

    def __init__(self, settings: Twilio, *, sender: str) -> None:
        self._account = _Account(settings, "RECORDER_SMS__URL")
        self._sender = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}

    def send(self, to: str, text: str) -> None:
        fields = {"To": to, "Body": text, "ValidityPeriod": str(VALID_SECONDS)}
        self._account.post("Messages", {**fields, **self._sender})


class TwilioCaller:
    """Rings from `number` and says what the TwiML says; the call is never recorded."""

    def __init__(self, settings: Twilio, *, number: str) -> None:
        self._account = _Account(settings, "RECORDER_SMS__CALL_FROM")
        self._number = number

    def ring(self, to: str, twiml: str) -> None:
        fields = {"To": to, "From": self._number, "Twiml": twiml, "Timeout": str(RING_SECONDS), "Record": "false"}
        self._account.post("Calls", fields)


class _Account:
    def __init__(self, settings: Twilio, wanted_by: str) -> None:
        if not settings.account_sid or not settings.auth_tokens:
            raise ConfigurationError(f"{wanted_by} needs RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID and __AUTH_TOKENS")
        self._rest = settings.rest_url
        self._base = f"{settings.rest_url}/2010-04-01/Accounts/{settings.account_sid}"
        login = f"{settings.account_sid}:{settings.auth_tokens[0].get_secret_value()}".encode()
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def post(self, resource: str, fields: dict[str, str]) -> None:
        """Raises `DeliveryRefusedError` where the number is the trouble, `DeliveryError` for anything else."""
        try:
            with fetch.open_url(
                "POST",
                f"{self._base}/{resource}.json",
                origins=[self._rest],
                headers=self._headers,
                body=urlencode(fields).encode(),
                timeout_s=TIMEOUT_S,
                max_bytes=LONGEST_ANSWER,
                private_ok=is_loopback(self._rest),
            ) as answer:
                status = answer.status
                if 200 <= status < 300:  # noqa: PLR2004 -- HTTP
                    return
                code = _code(b"".join(answer.chunks(LONGEST_ANSWER)))
        except PlatformUnreachableError as exc:
            raise DeliveryError("Twilio is not reachable") from exc
        except PlatformError as exc:
            raise DeliveryUnknownError("Twilio did not answer") from exc
        if code in UNREACHABLE:
            raise DeliveryRefusedError(f"Twilio cannot reach the number ({code})")
        raise DeliveryError(f"Twilio answered {status} ({code})")


def _code(body: bytes) -> int:
    """The number of Twilio's error; its words may repeat the telephone number."""
    try:
        code = json.loads(body)["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0
    return code if isinstance(code, int) else 0
