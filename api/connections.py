"""Connections, and what is answered on them before there is a request: to a malformed head, or one that is too long."""

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
        request.setdefault(REQUEST_ID, secrets.token_urlsafe(12))
        with bound_contextvars(request_id=request[REQUEST_ID]):
            super().handle_error(request, status, exc, message)  # writes it down; raises where an answer was begun
        response = problems.of_status(cast("web.Request", request), status)
        headers.put(self._app, request, response)
        response.force_close()
        return response
