"""Where an outside party stands, and whether it may: nothing leaves the EU/EEA."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

EEA = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IS IE IT LI LV LT LU MT NL NO PL PT RO SK SI ES SE".split()  # noqa: SIM905 -- ISO 3166, in one line
)
TWILIO_REGIONS = {"ie1": "IE", "us1": "US", "au1": "AU"}


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine: a file, or a loopback host."""
    parts = urlsplit(url)
    if parts.scheme in {"file", "sqlite"}:
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_confidential(url: str) -> bool:
    """Whether nobody on the way reads along: https, or http that stays on this machine."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and is_loopback(url))


def asked_at(url: str, endpoint_url: str) -> str:
    """Whom we speak to for a URL: for a bucket, the endpoint where one is set."""
    return endpoint_url or url if url.startswith("s3:") else url


def country_fault(url: str, country: str) -> str | None:
    """Why a party at this URL may not be spoken to; None where it may."""
    if not url or ("://" in url and not url.startswith("s3://") and is_loopback(url)):
        return None
    if "://" not in url:  # a plain path
        return None
    if not country:
        return "no country declared"
    return None if country.upper() in EEA else country.upper()
