"""How messages leave: mail by SMTP under TLS, SMS by a gateway, and for trying out, both as files.

Handles addresses and tokens: nothing of a message is ever logged or repeated in an error.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import smtplib
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from recorder.errors import ConfigurationError, DeliveryError, PlatformError
from recorder.fetch import call, origin_of
from recorder.ports import Mailer, Texter
from recorder.settings import Settings

SMTP_TIMEOUT_S = 30.0
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465


def mailer_for(settings: Settings) -> Mailer:
    parts = urlsplit(settings.mail_url)
    if parts.scheme == "file":
        return FileMailer(Path(unquote(parts.path)))
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ConfigurationError("RECORDER_MAIL__URL must be smtp://, smtps:// or file:///")
    return SmtpMailer(settings.mail_url, sender=settings.mail.sender or settings.organisation.dpo_email)


def texter_for(settings: Settings) -> Texter:
    parts = urlsplit(settings.sms_url)
    if parts.scheme == "file":
        return FileTexter(Path(unquote(parts.path)))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("RECORDER_SMS__URL must be https:// or file:///")
    return GatewayTexter(settings.sms_url)


class SmtpMailer:
    """One relay, spoken to under TLS only: a relay that offers none is refused before anything is said."""

    def __init__(self, url: str, *, sender: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._implicit = parts.scheme == "smtps"
        self._port = parts.port or (SUBMISSIONS_PORT if self._implicit else SUBMISSION_PORT)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._sender = sender
        self._tls = tls or ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    def send(self, to: str, message: bytes) -> None:
        try:
            with self._connected() as relay:
                if self._login:
                    relay.login(*self._login)
                refused = relay.sendmail(self._sender, [to], message)
        except (smtplib.SMTPException, OSError, UnicodeError) as exc:
            # The relay's words may repeat the address, so they stay out of the chain of errors.
            raise DeliveryError(f"the mail relay did not take it: {_reason(exc)}") from None
        if refused:
            raise DeliveryError("the mail relay refused the address")

    def _connected(self) -> smtplib.SMTP:
        if self._implicit:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=SMTP_TIMEOUT_S, context=self._tls)
        relay = smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_S)
        try:
            relay.starttls(context=self._tls)
        except BaseException:
            relay.close()
            raise
        return relay


def _reason(exc: Exception) -> str:
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return "it offers no TLS"
    code = getattr(exc, "smtp_code", None)
    return f"{type(exc).__name__} {code}" if code else type(exc).__name__


class FileMailer:
    """Every mail a file. Only for trying out: settings allow it on a loopback address alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, message: bytes) -> None:  # noqa: ARG002 -- the address is in the message
        _put(self._folder, ".eml", message)


class FileTexter:
    """Every SMS a file of `{"to", "text"}`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, text: str) -> None:
        _put(self._folder, ".json", json.dumps({"to": to, "text": text}, ensure_ascii=False).encode())


class GatewayTexter:
    """An HTTPS gateway: `POST {"to", "text"}`, with the user and password of its URL, or its user as bearer token."""

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
        try:
            origins = [origin_of(self._url)]
            status = call("POST", self._url, origins=origins, headers=self._headers, body=body, private_ok=True)
        except PlatformError as exc:
            raise DeliveryError("the SMS gateway did not answer") from exc
        if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP
            raise DeliveryError(f"the SMS gateway answered {status}")


def _put(folder: Path, suffix: str, content: bytes) -> None:
    """Write a file so that whoever looks sees all of it or nothing."""
    name = secrets.token_hex(12)
    waiting = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        waiting.rename(folder / (name + suffix))
    except OSError as exc:
        with suppress(OSError):
            waiting.unlink()
        raise DeliveryError(f"the outbox folder did not take it: {type(exc).__name__}") from exc
