"""Mail by one relay, spoken to under TLS only: a relay that offers none is refused before anything is said.

What matters is what the relay answered, and to which step: an answer to the content means that it was taken or not,
no answer after the content means that nobody knows.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from recorder.errors import DeliveryError, DeliveryRefusedError, DeliveryUnknownError

TIMEOUT_S = 30.0  # for one answer
EXCHANGE_S = 75.0  # for all of them, however slowly they drip; shorter than the lease of a message
LONGEST_ANSWER = 65_536
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
TAKEN = 250
PERMANENT = range(500, 600)


class SmtpMailer:
    """`smtp://user:password@host:587` upgrades by STARTTLS or gives up; `smtps://` is TLS from the first byte.

    `sender` is the envelope's: where bounces go.
    """

    def __init__(
        self,
        url: str,
        *,
        sender: str,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._implicit = parts.scheme == "smtps"
        self._port = parts.port or (SUBMISSIONS_PORT if self._implicit else SUBMISSION_PORT)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._sender = sender
        self._tls = tls or ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._timeout_s = timeout_s
        self._exchange_s = exchange_s

    def send(self, to: str, message: bytes) -> None:
        with self._connected() as relay:
            try:
                options = ["ret=hdrs"] if relay.has_extn("dsn") else []  # a bounce need not carry the link back
                _answered(relay.mail(self._sender, options), lasting=False)
                _answered(relay.rcpt(to), lasting=True)
            except UnicodeError:
                raise DeliveryRefusedError("the address is not one this relay can be told") from None
            try:
                answer = relay.data(message)
            except smtplib.SMTPDataError as exc:  # to the command: the content was not sent
                answer = (exc.smtp_code, b"")
            except (smtplib.SMTPException, OSError) as exc:
                raise DeliveryUnknownError(f"the relay fell silent after the content: {type(exc).__name__}") from None
            _answered(answer, lasting=True)

    def check(self) -> None:
        """Connect, upgrade and sign in, and say nothing more. Raises `DeliveryError`."""
        with self._connected():
            pass

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        relay: smtplib.SMTP | None = None
        try:
            relay = self._dialled()
            if not self._implicit:
                relay.starttls(context=self._tls)
            relay.ehlo_or_helo_if_needed()
            if self._login:
                relay.login(*self._login)
            yield relay
            # What was taken is taken, whether or not the relay says goodbye.
            with suppress(smtplib.SMTPException, OSError):
                relay.putcmd("quit")
        except (smtplib.SMTPException, OSError, UnicodeError) as exc:
            # The relay's words may repeat the address, so they stay out of the chain of errors.
            raise DeliveryError(f"the mail relay did not take it: {_reason(exc)}") from None
        finally:
            if relay is not None:
                relay.close()

    def _dialled(self) -> smtplib.SMTP:
        name = self._sender.rpartition("@")[2] or "localhost"  # our machine's own name is nobody's business
        options: dict[str, Any] = {"local_hostname": name, "timeout": self._timeout_s, "seconds": self._exchange_s}
        if self._implicit:
            return _TlsRelay(self._host, self._port, context=self._tls, **options)
        return _Relay(self._host, self._port, **options)


class _Relay(smtplib.SMTP):
    """A connection with a time limit for all of it, greeting included, and a size limit for each answer.

    A relay that sends a little at a time never meets the timeout of a single read, and smtplib collects an endless
    answer for ever. Before TLS, anybody on the way can play the relay.
    """

    def __init__(self, *place: Any, seconds: float, **options: Any) -> None:
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._timer.start()
        try:
            super().__init__(*place, **options)
        except BaseException:
            self.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if not self._timer.is_alive():  # the time was over before there was a connection to shut
            raise smtplib.SMTPServerDisconnected("out of time")
        if self.file is None and self.sock is not None:
            self.file = _Said(self.sock.makefile("rb"))
        if isinstance(self.file, _Said):
            self.file.left = LONGEST_ANSWER
        return super().getreply()

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _shut(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # TLS's own would touch what the reader uses


class _TlsRelay(_Relay, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class _Said:
    """What a relay says, as smtplib reads it: only so much to one question."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.left = 0

    def readline(self, most: int) -> bytes:
        line = self._stream.readline(most)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("an answer without an end")
        return line

    def close(self) -> None:
        self._stream.close()


def _answered(answer: tuple[int, bytes], *, lasting: bool) -> None:
    """Return if the relay accepted. A refusal is final only where `lasting`: about this mail, not about us."""
    code = answer[0]
    if code in {TAKEN, 251}:
        return
    if lasting and code in PERMANENT:
        raise DeliveryRefusedError(f"the mail relay refused it for good ({code})")
    raise DeliveryError(f"the mail relay did not take it ({code})")


def _reason(exc: Exception) -> str:
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return "it offers no TLS"
    code = getattr(exc, "smtp_code", None)
    return f"{type(exc).__name__} {code}" if code else type(exc).__name__
