"""Any exchange: canonical events signed by Standard Webhooks, audio by URL or pushed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import fetch, signing
from recorder.errors import ConfigurationError, MediaRefusedError, PlatformError, SignatureError
from recorder.events import Event
from recorder.platforms import canonical
from recorder.ports import Listing, Media, Source, WebhookRequest
from recorder.settings import Capture
from recorder.settings import Standard as StandardSettings

MAX_CLOCK_SKEW = timedelta(minutes=5)  # what the reference libraries of Standard Webhooks allow
MAX_SIGNATURES = 16  # a rotation needs two; the rest is somebody making us work
MESSAGE_ID = re.compile(r"[!-~]{1,256}")
TIMESTAMP = re.compile(r"[0-9]{1,11}")
VERSIONS = frozenset(["v1", "v1a"])
GONE = frozenset([404, 410])
UNDELETABLE = frozenset([405, 501])  # it has no deletion by HTTP: its own rule clears the copy
# Asterisk's ARI: this address only downloads a recording; without `/file` it is the recording itself.
ARI_DOWNLOAD = re.compile(r"(/ari/recordings/stored/[^/?]+)/file(?=\?|$)")


class Standard:
    """`/webhooks/events`. Without secrets nothing verifies."""

    name = "standard"

    def __init__(self, settings: StandardSettings, capture: Capture) -> None:
        """Raises `ConfigurationError` on a malformed secret."""
        self._settings = settings
        self._capture = capture
        secrets = [secret.get_secret_value() for secret in settings.secrets]
        self._origins = _origins(settings.media_origins)
        self._hmac_keys = tuple(_hmac_key(secret) for secret in secrets if not secret.startswith("whpk_"))
        self._public_keys = tuple(_public_key(secret) for secret in secrets if secret.startswith("whpk_"))

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        message_id, stamped_at = _envelope(request, now)
        seconds = int(stamped_at.timestamp())
        signed = signing.content(message_id, seconds, request.body)
        signatures = _signatures(request.headers.get("webhook-signature", ""))
        if not any(self._matches(version, signature, signed) for version, signature in signatures):
            raise SignatureError

    def parse(self, request: WebhookRequest, now: datetime) -> list[Event]:
        key, stamped_at = _envelope(request, now)
        return [canonical.parse(request.body, platform=self.name, key=key, stamped_at=stamped_at, now=now)]

    def fetch(self, source: Source, now: datetime) -> AbstractContextManager[Media]:  # noqa: ARG002 -- the port's
        if source.url is None:
            raise PlatformError("the exchange gave no address for this recording")
        return fetch.open_url(
            "GET",
            source.url,
            headers=self._headers(),
            origins=self._origins,
            timeout_s=self._capture.fetch_timeout_s,
            max_bytes=self._capture.max_bytes,
            private_ok=True,
        )

    def delete(self, source: Source) -> bool:
        """Ask the origin to delete the audio. A pushed recording has no copy we could reach."""
        if source.url is None or fetch.origin_of(source.url) not in self._origins:
            return False
        own = ARI_DOWNLOAD.sub(r"\1", source.url)
        status = fetch.call("DELETE", own, headers=self._headers(), origins=self._origins, private_ok=True)
        gone = 200 <= status < 300 or status in GONE  # noqa: PLR2004 -- HTTP's own range
        if not gone and status not in UNDELETABLE:
            raise PlatformError(f"the exchange answered {status} to a deletion")
        return gone

    def recordings(self, call_id: str, now: datetime) -> Listing:  # noqa: ARG002 -- the port's
        """Always raises `PlatformError`: we tell no exchange to record, and know of none with a list."""
        raise PlatformError("the exchange has no list of recordings")

    def _headers(self) -> dict[str, str]:
        token = self._settings.media_token
        return {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}

    def _matches(self, version: str, signature: bytes, signed: bytes) -> bool:
        if version == "v1":
            return any(
                hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), signature) for key in self._hmac_keys
            )
        return any(_signed_by(key, signature, signed) for key in self._public_keys)


def signed(secret: str, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message signed with a `whsec_` secret (standardwebhooks.com)."""
    return signing.headers([signing.signer(secret)], message_id, now, body)


def _envelope(request: WebhookRequest, now: datetime) -> tuple[str, datetime]:
    """The message id, and the sender's clock when it sent this attempt."""
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    if not MESSAGE_ID.fullmatch(message_id) or not TIMESTAMP.fullmatch(timestamp):
        raise SignatureError
    stamped_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(now - stamped_at) > MAX_CLOCK_SKEW:
        raise SignatureError
    return message_id, stamped_at


def _signatures(header: str) -> list[tuple[str, bytes]]:
    """The signatures of versions we know; an unknown or unreadable one is skipped and hides none beside it."""
    found = []
    for part in header.split(" ", MAX_SIGNATURES)[:MAX_SIGNATURES]:
        version, _, encoded = part.partition(",")
        if version not in VERSIONS:
            continue
        with suppress(ValueError):
            found.append((version, base64.b64decode(encoded, validate=True)))
    return found


def _signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _origins(listed: tuple[str, ...]) -> frozenset[str]:
    try:
        return frozenset(fetch.origin_of(origin) for origin in listed)
    except MediaRefusedError as exc:
        raise ConfigurationError("RECORDER_PLATFORMS__STANDARD__MEDIA_ORIGINS: each is scheme://host[:port]") from exc


def _hmac_key(secret: str) -> bytes:
    try:
        return signing.key_of(secret)
    except ValueError as exc:
        raise ConfigurationError(f"RECORDER_PLATFORMS__STANDARD__SECRETS: {exc}") from exc


def _public_key(secret: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(signing.decoded(secret.removeprefix("whpk_")))
    except ValueError as exc:
        raise ConfigurationError("RECORDER_PLATFORMS__STANDARD__SECRETS: whpk_ takes base64 of 32 bytes") from exc
