"""One bucket behind one boto3 client, and its answers in our words.

No error text carries an object key, a credential or what the store said at length.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import urllib3.exceptions
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.loaders import Loader

from storage.clock import utc_now
from storage.errors import (
    ConflictError,
    ObjectNotFoundError,
    StorageError,
    StoreClockError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)

CONNECTIONS = 32
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20  # per wait for bytes, not per request
ATTEMPTS = 3
MAX_SKEW = timedelta(minutes=5)
FRESH_S = 60.0
MODELS = Loader()  # loading botocore's model of S3 takes a tenth of a second: once does for store, ring and mirror


class OutOfRangeError(StoreUnavailableError):
    """A range begins behind the end of its object."""


class UnsupportedError(StoreUnavailableError):
    """The store does not know this request, or not so."""


# Error codes, and statuses of answers without a body. The first match counts: most codes come with status 400 or 403.
MEANING: dict[frozenset[str], type[StorageError | ConflictError]] = {
    frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload"}): ObjectNotFoundError,
    frozenset({"NoSuchBucket"}): StoreUnavailableError,
    frozenset({"NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError"}): ObjectNotFoundError,
    frozenset({"NoSuchBucketPolicy", "ReplicationConfigurationNotFoundError"}): ObjectNotFoundError,
    frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"}): ConflictError,
    frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "507"}): StoreFullError,
    frozenset({"InvalidRange", "416"}): OutOfRangeError,
    frozenset({"RequestTimeout"}): StoreUnavailableError,
    frozenset({"ExpiredToken", "InvalidToken", "401", "403"}): StoreRefusedError,
    frozenset({"NotImplemented", "MethodNotAllowed", "400", "405", "501"}): UnsupportedError,
    frozenset({"404"}): ObjectNotFoundError,
}


class Bucket:
    """A bucket and the prefix that is ours in it. Thread-safe; connections are pooled and made when needed."""

    def __init__(self, name: str, prefix: str = "", *, endpoint_url: str = "", region: str = "") -> None:
        self.name = name
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.aws = not endpoint_url or (urlsplit(endpoint_url).hostname or "").endswith(".amazonaws.com")
        self._place = (endpoint_url, region)
        self._client = _client(endpoint_url, region, aws=self.aws)
        self._client.meta.events.register("after-call.s3", self._note_the_time)
        self._lock = threading.Lock()
        self._told: tuple[datetime, float] | None = None

    def for_anybody(self) -> Bucket:
        """The same bucket, asked without credentials."""
        other = copy(self)
        other._client = _client(*self._place, aws=self.aws, signed=False)  # noqa: SLF001 -- our own
        return other

    def full(self, key: str) -> str:
        return self.prefix + key

    def own(self, full: str) -> str:
        return full[len(self.prefix) :]

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request, tried again where that may help. Raises errors of ours; `ObjectNotFoundError` for a 404."""
        with self.translated():
            answer: dict[str, Any] = getattr(self._client, operation)(Bucket=self.name, **arguments)
            return answer

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of boto3 as ours, also those for answers it cannot read (a `ValueError`) and bodies that break off."""
        try:
            yield
        except (BotoCoreError, ClientError, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise self._error(exc) from None  # its text may name keys

    def time(self) -> datetime | None:
        """The store's time, going by its last answer; None where that is more than a minute old, or there was none."""
        with self._lock:
            told = self._told
        if told is None or time.monotonic() - told[1] > FRESH_S:
            return None
        return told[0] + timedelta(seconds=time.monotonic() - told[1])

    def _note_the_time(self, http_response: Any, **_kwargs: Any) -> None:
        date = http_response.headers.get("date")
        try:
            moment = parsedate_to_datetime(date).astimezone(UTC)
        except (TypeError, ValueError):
            return
        with self._lock:
            self._told = (moment, time.monotonic())

    def _error(self, exc: Exception) -> StorageError | ConflictError:
        if isinstance(exc, ClientError):
            return self._answered(exc.response)
        if isinstance(exc, NoCredentialsError | PartialCredentialsError):
            return StoreRefusedError("there are no credentials for the store")
        if isinstance(exc, SSLError):
            return StoreUnavailableError("the store's certificate was not accepted")
        if isinstance(exc, ProxyConnectionError):
            return StoreUnavailableError("the proxy before the store did not answer")
        return StoreUnavailableError()

    def _answered(self, response: Mapping[str, Any]) -> StorageError | ConflictError:
        code, status = _code(response), str(response["ResponseMetadata"].get("HTTPStatusCode", ""))
        if code == "RequestTimeTooSkewed" or (status == "403" and self._skewed()):
            return StoreClockError()
        for codes, error in MEANING.items():
            if {code, status} & codes:
                return error(f"the store answered {code}")
        return StoreUnavailableError(f"the store answered {code}")

    def _skewed(self) -> bool:
        """Whether our clocks differ too much: an answer without a body gives no reason, but a date."""
        said = self.time()
        return said is not None and abs(said - utc_now()) > MAX_SKEW


def onward(page: Mapping[str, Any], before: Mapping[str, str], **names: str) -> dict[str, str]:
    """The arguments for a listing's next page, named by `names` (argument → field of the answer); empty at its end.

    Raises `StoreUnavailableError` for an answer that is no listing, as it must not be taken for an empty one, and for
    one that goes on where it was, as it would never end.
    """
    if "IsTruncated" not in page:
        raise StoreUnavailableError("the store's answer is not a listing")
    if not page["IsTruncated"]:
        return {}
    marker = {asked: str(page.get(told, "")) for asked, told in names.items()}
    if not any(marker.values()) or marker == before:
        raise StoreUnavailableError("the store's listing does not go on")
    return marker


def _code(response: Mapping[str, Any]) -> str:
    code = str(response.get("Error", {}).get("Code", ""))
    return code if code.isalnum() else "an unknown error"


def _client(endpoint_url: str, region: str, *, aws: bool, signed: bool = True) -> Any:
    """Bodies are signed only where nothing else guards them on their way: not under TLS, and not on this machine."""
    guarded = not endpoint_url or endpoint_url.startswith("https://") or _loopback(endpoint_url)
    config = Config(
        signature_version="s3v4" if signed else UNSIGNED,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        # Older stores know no trailing checksums; what guards the body, and our own seal, is stronger.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "auto" if aws else "path", "payload_signing_enabled": not guarded},
    )
    session = botocore.session.get_session()
    session.register_component("data_loader", MODELS)
    return boto3.session.Session(botocore_session=session).client(
        "s3", endpoint_url=endpoint_url or None, region_name=region or None, config=config
    )


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
