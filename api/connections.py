"""Connections, and what is answered on them before the application is asked: to a head that is malformed or too long,
or that expects what nobody does.
"""

from __future__ import annotations

import secrets
from typing import Any, cast

from aiohttp import web
from structlog.contextvars import bound_contextvars

from api import headers, problems
from api.routing import REQUEST_ID


class Connection(web.RequestHandler):
    """aiohttp's, but for its own answers: those repeat what was sent, and name the versions of what runs here."""

    __slots__ = ("_app",)

    def __init__(self, app: web.Application, server: web.Server, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._app = app

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc  # nobody is there to be answered, and nothing they sent was wrong
        request.setdefault(REQUEST_ID, secrets.token_urlsafe(12))
        with bound_contextvars(request_id=request[REQUEST_ID]):
            super().handle_error(request, status, exc, message)  # writes it down; raises where an answer was begun
        response = problems.of_status(cast("web.Request", request), status)
        headers.put(self._app, request, response)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """The application raises none of aiohttp's errors; one of its own is about an `Expect` it does not know."""
        if isinstance(resp, web.HTTPException):
            resp = self.handle_error(request, resp.status)
        return await super().finish_response(request, resp, start_time)
