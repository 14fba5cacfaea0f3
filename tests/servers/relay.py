"""A mail relay under TLS that answers as it is told, step by step."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "recorder", "p@ss:word"
CUT = "cut the connection instead of answering"
SILENT = "never answer"
ACCEPT = "250 taken"


@dataclass
class Relay:
    """A mail server and what it took in. Answers are used up one by one; then everything is taken."""

    port: int = 0
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    to_rcpt: list[str] = field(default_factory=list)
    to_data: list[str] = field(default_factory=list)
    dsn: bool = False
    options: list[str] = field(default_factory=list)  # of MAIL FROM

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], *(["250-DSN"] if self.dsn else []), responses[-1]]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answer = self.to_rcpt.pop(0) if self.to_rcpt else ACCEPT
        if answer == ACCEPT:
            envelope.rcpt_tos.append(address)
        return await self._said(server, answer)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return await self._said(server, self.to_data.pop(0) if self.to_data else ACCEPT)

    async def _said(self, server: Any, answer: str) -> str:
        if answer == CUT:
            server.transport.abort()
        elif answer == SILENT:
            await asyncio.Event().wait()
        return answer


class Server(SMTP):
    """aiosmtpd refuses the RET option of MAIL FROM, so it is taken off and noted here."""

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        address, _, option = (arg or "").partition(" ret=")
        self.event_handler.options.append(option)
        size = option.partition(" ")[2]
        await super().smtp_MAIL(f"{address} {size}".strip())


class AnyPort(Controller):
    """aiosmtpd's own controller tests itself at the port it was given, which for 0 is not the port it got."""

    def factory(self) -> SMTP:
        return Server(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


StartRelay = Callable[..., Relay]


@contextmanager
def relays(authority: trustme.CA) -> Iterator[StartRelay]:
    """Start relays as needed: `tls` is "starttls", "implicit" or None; the certificate is for `host`."""
    running: list[Controller] = []

    def start(*, tls: str | None = "starttls", host: str = "localhost", **answers: Any) -> Relay:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host).configure_cert(context)

        def allow(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
            return AuthResult(success=right, handled=False)  # it says 535 itself

        handler = Relay(**answers)
        options: dict[str, Any] = {
            "starttls": {"tls_context": context, "require_starttls": True},
            "implicit": {"ssl_context": context, "auth_require_tls": False},
            None: {},
        }[tls]
        controller = AnyPort(handler, hostname="127.0.0.1", port=0, authenticator=allow, **options)
        controller.start()
        handler.port = controller.port
        running.append(controller)
        return handler

    try:
        yield start
    finally:
        for controller in running:
            controller.stop()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
