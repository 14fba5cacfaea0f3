"""A person with a browser, or a script with a token: what the demo uses to reach the service as everybody does."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Visitor:
    """Keeps cookies, follows redirects, answers every status with a `Reply`."""

    def __init__(self, public_url: str, token: str | None = None) -> None:
        self._url = public_url
        self._headers = {"Origin": public_url, "Sec-Fetch-Site": "same-origin", "Accept-Language": "da"}
        if token:
            self._headers = {"Authorization": f"Bearer {token}"}
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def get(self, path: str, **headers: str) -> Reply:
        return self._send("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def post_form(self, path: str, **fields: str) -> Reply:
        body = urlencode(fields).encode()
        return self._send("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def post_json(self, path: str, document: dict[str, Any]) -> Reply:
        return self._send("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        request = urllib.request.Request(  # noqa: S310 -- our own address
            self._url + path, data=body, headers={**self._headers, **headers}, method=method
        )
        try:
            with self._opener.open(request, timeout=30) as response:
                return Reply(response.status, _lowered(response.headers), response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Reply(refusal.code, _lowered(refusal.headers), refusal.read())


def _lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
