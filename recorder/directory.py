"""Who a number belongs to today: a CSV file or an HTTPS endpoint. What it says is used and not stored."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from recorder import fetch, phones
from recorder.errors import ConfigurationError, DirectoryUnavailableError, PlatformError
from recorder.ports import Customer, Directory
from recorder.scripts import LANGUAGES
from recorder.segments import CUSTOMER_TYPES
from recorder.settings import Settings, is_confidential

COLUMNS = ("phone", "account", "email", "mobile", "customer_type", "language")
CACHE_SECONDS = 60.0  # for the bursts of one call or one page; too short to be a copy
CACHE_SIZE = 1024
TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 65_536
OK, NOT_FOUND = 200, 404

log = structlog.get_logger(__name__)


def directory_for(settings: Settings) -> Directory:
    """The directory settings name. Raises `ConfigurationError` for a URL of another kind, or http beyond loopback."""
    url, token = settings.directory_url, settings.directory.token
    parts = urlsplit(url)
    if parts.scheme == "file":
        return CsvDirectory(Path(unquote(parts.path)))
    if parts.scheme == "" and parts.path:
        return CsvDirectory(Path(url))
    if is_confidential(url):
        return HttpsDirectory(url, token.get_secret_value() if token else None)
    raise ConfigurationError("RECORDER_DIRECTORY__URL must be a CSV file or an https endpoint")


class CsvDirectory:
    """`phone,account,email,mobile,customer_type,language`. A changed file is read anew; no file means nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._phones: dict[str, Customer] = {}
        self._accounts: dict[str, Customer] = {}

    def by_phone(self, phone: str) -> Customer | None:
        self._refresh()
        return self._phones.get(phone)

    def by_account(self, account: str) -> Customer | None:
        self._refresh()
        return self._accounts.get(account)

    def is_empty(self) -> bool:
        self._refresh()
        return not self._phones

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            version = (0, 0)
        except OSError as exc:
            raise DirectoryUnavailableError from exc
        else:
            version = (status.st_mtime_ns, status.st_size)
        if version == self._version:
            return
        with self._lock:
            if version == self._version:  # read by another while we waited: a million rows take a quarter of a minute
                return
            customers = _read_csv(self._path) if version != (0, 0) else []
            self._phones = {customer.phone: customer for customer in reversed(customers)}
            self._accounts = {customer.account: customer for customer in reversed(customers) if customer.account}
            self._version = version


class HttpsDirectory:
    """An endpoint asked by `POST {"phone": …}` or `{"account": …}`: the customer as JSON, or 404."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._origins = frozenset([fetch.origin_of(url)])
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, str], tuple[float, Customer | None]] = OrderedDict()

    def by_phone(self, phone: str) -> Customer | None:
        return self._find("phone", phone)

    def by_account(self, account: str) -> Customer | None:
        return self._find("account", account)

    def is_empty(self) -> bool:
        return False  # nobody asks an endpoint for everyone

    def _find(self, name: str, value: str) -> Customer | None:
        now = time.monotonic()
        with self._lock:
            until, known = self._cache.get((name, value), (0.0, None))
            if now < until:
                return known
        customer = self._ask(name, value)
        with self._lock:
            self._cache[name, value] = (now + CACHE_SECONDS, customer)
            self._cache.move_to_end((name, value))
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return customer

    def _ask(self, name: str, value: str) -> Customer | None:
        try:
            with fetch.open_url(
                "POST",
                self._url,
                body=json.dumps({name: value}).encode(),
                headers=self._headers,
                origins=self._origins,
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_ANSWER_BYTES,
                private_ok=True,
            ) as response:
                if response.status == NOT_FOUND:
                    return None
                if response.status != OK:
                    raise DirectoryUnavailableError(f"the directory answered {response.status}")
                document = json.loads(b"".join(response.chunks(MAX_ANSWER_BYTES)))
        except (PlatformError, ValueError, RecursionError) as exc:
            raise DirectoryUnavailableError from exc
        if document is None:
            return None
        customer = _customer(document) if isinstance(document, dict) else None
        if customer is None:
            raise DirectoryUnavailableError("the directory's answer is not a customer")
        return customer


def _read_csv(path: Path) -> list[Customer]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames is None or not set(COLUMNS) <= set(rows.fieldnames):
                raise DirectoryUnavailableError(f"{path.name} must have the columns {','.join(COLUMNS)}")
            customers = [_customer(row) for row in rows]
    except (OSError, ValueError, csv.Error) as exc:
        raise DirectoryUnavailableError(f"{path.name} cannot be read") from exc
    if unreadable := customers.count(None):
        log.warning("directory.rows_skipped", count=unreadable)
    return [customer for customer in customers if customer is not None]


def _customer(row: Mapping[str, Any]) -> Customer | None:
    """A customer, or None where the row names no telephone number."""
    phone = phones.normalise(_text(row, "phone") or "")
    if phone is None:
        return None
    kind, language = _text(row, "customer_type"), _text(row, "language")
    return Customer(
        phone=phone,
        account=_text(row, "account"),
        email=_email(_text(row, "email")),
        mobile=phones.normalise(_text(row, "mobile") or ""),
        customer_type=kind if kind in CUSTOMER_TYPES else None,
        language=language if language in LANGUAGES else LANGUAGES[0],
    )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return (value.strip() or None) if isinstance(value, str) else None


def _email(text: str | None) -> str | None:
    """An address that can stand in a mail's header as it is, or None."""
    if text is None or not text.isprintable() or text.count("@") != 1 or " " in text or "," in text:
        return None
    return text
