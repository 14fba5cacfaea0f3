"""SMS by any gateway that takes JSON over HTTPS."""

from __future__ import annotations

import base64
import json
from urllib.parse import unquote, urlsplit

from recorder.errors import DeliveryError, DeliveryUnknownError, PlatformError, PlatformUnreachableError
from recorder.fetch import call, origin_of

TIMEOUT_S = 30


class GatewayTexter:
    """`POST {"to", "text"}`, with the user and password of its URL, or its user as bearer token. 2xx is taken."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
        netloc = f"{host}:{parts.port}" if parts.port else host
        self._url = parts._replace(netloc=netloc).geturl()
        self._headers = {"Content-Type": "application/json"}
        if parts.username and parts.password is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password)}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
        elif parts.username:
            self._headers["Authorization"] = "Bearer " + unquote(parts.username)

    def send(self, to: str, text: str) -> None:
        body = json.dumps({"to": to, "text": text}, ensure_ascii=False).encode()
        origins = [origin_of(self._url)]
        try:
            status = call(
                "POST",
                self._url,
                origins=origins,
                headers=self._headers,
                body=body,
                timeout_s=TIMEOUT_S,
                private_ok=True,
            )
        except PlatformUnreachableError as exc:
            raise DeliveryError("the SMS gateway is not reachable") from exc
        except PlatformError as exc:
            raise DeliveryUnknownError("the SMS gateway did not answer") from exc
        if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP
            raise DeliveryError(f"the SMS gateway answered {status}")
