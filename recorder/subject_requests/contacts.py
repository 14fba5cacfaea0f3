"""Whom a request is about and where they are reached. Handles personal data.

What was asked for is sealed under a key of the request's own, wrapped by a day key at most 90 days ahead. E-mail and
mobile are never kept: the directory is asked when something is handed over, and an HMAC tells whether they changed.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import structlog

from recorder import phones
from recorder.errors import ConflictError
from recorder.ports import Customer, Service
from storage import columns
from storage.catalogue.requests import Request
from storage.clock import utc_day
from storage.errors import IntegrityError, KeyDestroyedError

KEPT = timedelta(days=90)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Contact:
    """Where a person is reached. `number` takes the codes: the mobile or, where calls can be made, the telephone."""

    email: str | None = field(repr=False)
    number: str | None = field(repr=False)
    language: str
    mark: bytes = field(repr=False)
    by_call: bool = False  # the number takes no SMS


def sealed(service: Service, request_id: str, asked: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The columns that keep what was asked for, under the day key of 90 days on."""
    secret = secrets.token_bytes(32)
    key = service.keyring.day_key(utc_day(now + KEPT), now)
    return {
        "key_id": key.id,
        "request_key": columns.wrap(key, secret, table="requests", column="request_key", row_id=request_id),
        "sealed": columns.seal(secret, asked, table="requests", row_id=request_id),
    }


def asked(service: Service, request: Request, now: datetime) -> dict[str, Any]:
    """What was asked for: `phone`, `account` or `call`. Raises `ConflictError` where the request is over."""
    if request.key_id is None or request.request_key is None or request.sealed is None:
        raise ConflictError("the request is over, and whom it was about is no longer known")
    key = service.keyring.key(request.key_id, now)
    secret = columns.unwrap(key, request.request_key, table="requests", column="request_key", row_id=request.id)
    return columns.open_sealed(secret, request.sealed, table="requests", row_id=request.id)


def still_asked(service: Service, request: Request, now: datetime) -> dict[str, Any]:
    """As `asked`; nothing where the request is over, or its row does not open."""
    try:
        return asked(service, request, now)
    except (ConflictError, KeyDestroyedError):
        return {}
    except IntegrityError as error:
        log.warning("request.damaged", request_id=request.id, code=error.code)
        return {}


def customer(service: Service, about: dict[str, Any]) -> Customer | None:
    """The customer a request is about, as of today. Raises `DirectoryUnavailableError`."""
    if about.get("account"):
        return service.directory.by_account(about["account"])
    return service.directory.by_phone(about["phone"]) if about.get("phone") else None


def contact(service: Service, request: Request, now: datetime) -> Contact | None:
    """Where the person is reached today; None where the directory does not know them."""
    known = customer(service, asked(service, request, now))
    if known is None:
        return None
    number = known.mobile or (known.phone if service.caller else None)
    by_call = bool(service.caller and number and (not known.mobile or phones.takes(number) == "call"))
    key = service.keyring.service_key("contacts")
    text = "\0".join((request.id, known.email or "", number or ""))
    return Contact(known.email, number, known.language, hmac.digest(key, text.encode(), sha256), by_call)
