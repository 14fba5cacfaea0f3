"""What is asked of those we speak to: relay, gateway, exchange, our own address. Nothing is sent to anybody."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from recorder import fetch
from recorder.checkup.findings import Finding, found
from recorder.couriers import mailer_for
from recorder.couriers.smtp import SmtpMailer
from recorder.errors import DeliveryError, DeliveryRefusedError, RecorderError
from recorder.notices import address
from recorder.settings import Organisation, Settings, is_loopback

TIMEOUT_S = 10
AUTH_TOKEN = re.compile(r"[0-9a-f]{32}")
SHORTEST_KEY = 16  # bytes
GOOD = range(200, 300)
UNAUTHORISED = frozenset([401, 403])


def mail(settings: Settings, _now: datetime) -> Iterator[Finding]:
    sender = settings.mail.sender or settings.organisation.dpo_email
    try:
        for one in (sender, settings.mail.bounces_to or sender):
            address(one)
    except DeliveryRefusedError:
        yield found("mail_sender", sender=sender)
        return
    mailer = mailer_for(settings)
    if not isinstance(mailer, SmtpMailer):
        yield found("mail_files")
        return
    parts = urlsplit(settings.mail_url)
    try:
        mailer.check()
    except DeliveryError as exc:
        yield found("mail_away", why=exc)
        return
    yield found("mail_ok", host=parts.hostname, login=" and a password" if parts.username else "", sender=sender)


def sms(settings: Settings, _now: datetime) -> Iterator[Finding]:
    prefixes, calls = ", ".join(settings.sms.prefixes), "; or are read aloud" if settings.sms.call_from else ""
    twilio = settings.sms_url.startswith("twilio:") or bool(settings.sms.call_from)
    if settings.sms_url.startswith("file:"):
        yield found("sms_files")
    elif not settings.sms_url.startswith("twilio:"):
        yield _gateway(settings, prefixes, calls)
    if twilio:
        yield _twilio(settings, prefixes, calls)


def _gateway(settings: Settings, prefixes: str, calls: str) -> Finding:
    parts = urlsplit(settings.sms_url)
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        # Any answer will do: a gateway need not know HEAD, and a message is not something to try with.
        fetch.call("HEAD", url, origins=[fetch.origin_of(url)], timeout_s=TIMEOUT_S, private_ok=True)
    except RecorderError as exc:
        return found("sms_away", why=f"the gateway cannot be asked: {exc}")
    return found("sms_ok", what="the gateway", prefixes=prefixes, calls=calls)


def _twilio(settings: Settings, prefixes: str, calls: str) -> Finding:
    twilio = settings.platforms.twilio
    if not twilio.account_sid or not twilio.auth_tokens:
        return found("sms_away", why="RECORDER_PLATFORMS__TWILIO__ACCOUNT_SID or __AUTH_TOKENS is missing")
    login = f"{twilio.account_sid}:{twilio.auth_tokens[0].get_secret_value()}".encode()
    try:
        status = fetch.call(
            "GET",
            f"{twilio.rest_url}/2010-04-01/Accounts/{twilio.account_sid}.json",
            origins=[twilio.rest_url],
            headers={"Authorization": "Basic " + base64.b64encode(login).decode()},
            timeout_s=TIMEOUT_S,
            private_ok=is_loopback(twilio.rest_url),
        )
    except RecorderError as exc:
        return found("sms_away", why=f"Twilio cannot be asked: {exc}")
    if status in UNAUTHORISED:
        return found("sms_away", why=f"Twilio refuses the account and its token ({status})")
    if status not in GOOD:
        return found("sms_away", why=f"Twilio answered {status}")
    return found("sms_ok", what="Twilio", prefixes=prefixes, calls=calls)


def public_url(settings: Settings, _now: datetime) -> Iterator[Finding]:
    url = settings.http.public_url
    if is_loopback(url):
        yield found("public_url_local", url=url)
        return
    try:
        status = fetch.call("GET", f"{url}/healthz", origins=[url], timeout_s=TIMEOUT_S, private_ok=True)
    except RecorderError as exc:
        yield found("public_url_away", url=url, why=exc)
        return
    yield found("public_url_ok", url=url) if status in GOOD else found("public_url_away", url=url, why=status)


def organisation(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Who speaks to customers: with a public address no longer the example's company, whose telephone would ring."""
    ours, example = settings.organisation, Organisation()
    left = [name for name in Organisation.model_fields if getattr(ours, name) == getattr(example, name)]
    if left and not is_loopback(settings.http.public_url):
        names = ", ".join(f"RECORDER_ORGANISATION__{name.upper()}" for name in left)
        yield found("organisation_example", settings=names)
        return
    yield found("organisation_ok", name=ours.name)


def platforms(settings: Settings, _now: datetime) -> Iterator[Finding]:
    twilio, standard = settings.platforms.twilio, settings.platforms.standard
    for token in twilio.auth_tokens:
        if not AUTH_TOKEN.fullmatch(token.get_secret_value()):
            why = "a token of Twilio's has 32 hexadecimal digits"
            yield found("platform_secret_weak", setting="RECORDER_PLATFORMS__TWILIO__AUTH_TOKENS", why=why)
    for key in twilio.shared_keys.values():
        if len(key.get_secret_value().encode()) < SHORTEST_KEY:
            why = f"a key has less than {SHORTEST_KEY} bytes"
            yield found("platform_secret_weak", setting="RECORDER_PLATFORMS__TWILIO__SHARED_KEYS", why=why)
    on = [name for name, secrets in (("twilio", twilio.auth_tokens), ("standard", standard.secrets)) if secrets]
    yield found("platforms_ok", names=", ".join(on)) if on else found("platforms_none")


def parties(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Settings outside the EU/EEA do not load; what is declared is repeated for whoever reads this."""
    declared = [f"{name} in {country.upper()}" for name, country in settings.declared_countries()]
    yield found("outside_ok", parties=", ".join(declared) or "nobody outside this machine is spoken to")
