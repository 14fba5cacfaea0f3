"""Connections, and the answers to requests that never reach the application: those whose head is malformed, too long
or has an `Expect` that nobody knows.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.contextvars import bound_contextvars

from api import headers, problems
from api.metrics import METRICS
from api.routing import REQUEST_ID

FULL_EVERY = 60.0  # seconds between two log lines that we are full: whoever fills us must not fill the log
SENDERS = (HttpProcessingError, web.RequestPayloadError, web.HTTPException)  # faults of whoever sent the request

log = structlog.get_logger(__name__)


class Room:
    """How many connections there may be. One more would take a file that the others need for what they ask for.

    With no file left to open, asyncio writes a thousand tracebacks for each new connection and does nothing else.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._told_at = -FULL_EVERY

    def enter(self) -> bool:
        """Count one more, and say whether it may stay."""
        self._taken += 1
        if self._taken <= self._most:
            return True
        if time.monotonic() - self._told_at >= FULL_EVERY:
            self._told_at = time.monotonic()
            log.warning("http.full", connections=self._most)
        return False

    def leave(self) -> None:
        self._taken -= 1


class Connection(web.RequestHandler):
    """aiohttp's, with our answers in place of its own: those repeat what was sent, and name the versions that run."""

    __slots__ = ("_app", "_room")

    def __init__(self, app: web.Application, server: web.Server, room: Room, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._app = app
        self._room = room

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._room.enter():
            cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._room.leave()
        super().connection_lost(exc)

    def log_exception(self, *_: object, exc_info: BaseException | None = None, **__: object) -> None:
        """Log only the kind of error: aiohttp's own words repeat a malformed head, tokens and all.

        A sender's fault is an info, as each answer's line is: strangers must not fill the log with warnings.
        """
        kind = type(exc_info).__name__ if exc_info else None
        if isinstance(exc_info, SENDERS):
            log.info("http.malformed", kind=kind)
        else:
            log.error("http.failed", kind=kind)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc  # nobody is there to be answered, and nothing they sent was wrong
        if isinstance(exc, UnicodeEncodeError) and not request.headers.get("Expect", "").isascii():
            exc = web.HTTPExpectationFailed()  # aiohttp failed in refusing it: its words repeat it
            status = exc.status
        request.setdefault(REQUEST_ID, secrets.token_urlsafe(12))
        with bound_contextvars(request_id=request[REQUEST_ID]):
            super().handle_error(request, status, exc, message)  # logs it; raises where an answer has been begun
        response = problems.of_status(cast("web.Request", request), status)
        self._app[METRICS].count(cast("web.Request", request), "unknown", status, 0.0)
        headers.put(self._app, request, response)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Replace aiohttp's own answer to an `Expect` it does not know; the application lets no such error through."""
        if isinstance(resp, web.HTTPException):
            resp = self.handle_error(request, resp.status, resp)
        return await super().finish_response(request, resp, start_time)
