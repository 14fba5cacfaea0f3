"""The web application: every route with its permission, and what is true of every answer."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections import Counter

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from api import (
    access,
    auth,
    canary,
    console,
    headers,
    health,
    limits,
    logs,
    metrics,
    openapi,
    problems,
    static_files,
    v1,
    webhooks,
)
from api.fields import ID
from api.pools import POOLS, pools
from api.routing import DRAINING, REQUEST_ID, ROUTE, SERVICE, UNDER_WAY, Route
from recorder.errors import NotFoundError, TooLargeError
from recorder.ports import Service
from storage.errors import RecorderError

BODY_SECONDS = 30.0  # a body that takes longer than this is a client holding us up

ROUTES = web.AppKey("routes", dict[web.AbstractRoute, Route])

_ID = re.compile(ID)
_REQUEST_ID = re.compile(r"(?!.*[0-9]{8})[A-Za-z0-9_-]{8,64}")  # eight digits may be somebody's number

log = structlog.get_logger()


def create_app(service: Service) -> web.Application:
    """The application of one service. Jobs may run in this process or in another: pages do not depend on them."""
    logs.configure()
    limit = service.settings.http.max_body_bytes
    app = web.Application(client_max_size=limit, middlewares=[observed, answered, admitted, read_once])
    app[SERVICE] = service
    app[DRAINING] = threading.Event()
    app[UNDER_WAY] = set()
    app[POOLS] = {}
    app[ROUTES] = {}
    app[limits.OPENINGS] = limits.Allowance(limits.AT_ONCE)
    app[limits.STREAMS] = Counter()
    app[metrics.METRICS] = metrics.Metrics(service)
    for route in all_routes(service):
        app[ROUTES][app.router.add_route(route.method, route.path, route.handler)] = route
    app.cleanup_ctx.append(pools)
    app.on_response_prepare.append(headers.add)
    return app


def all_routes(service: Service) -> list[Route]:
    """The route table, floor by floor, and the document that describes it."""
    floors = (health, webhooks, canary, v1, access, console, static_files)
    table = [route for floor in floors for route in floor.routes(service)]
    return [*table, *openapi.routes(table)]


@web.middleware
async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, and log what became of it: by route, never by address or path.

    Webhooks that were taken in are only counted: there are too many of them to log, and the inbox has them.
    """
    wished = request.headers.get("X-Request-ID", "")
    request[REQUEST_ID] = wished if _REQUEST_ID.fullmatch(wished) else secrets.token_urlsafe(12)
    route = request.app[ROUTES].get(request.match_info.route)
    if route is not None:
        request[ROUTE] = route
    request.app[UNDER_WAY].add(id(request))
    started, status = time.perf_counter(), 499  # nginx's number for a client that went away
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        request.app[UNDER_WAY].discard(id(request))
        seconds = time.perf_counter() - started
        path = route.path if route else "unknown"
        request.app[metrics.METRICS].count(request, path, status, seconds)
        if not (route and route.permission == "signature" and status < 300):  # noqa: PLR2004 -- HTTP's own range
            _write_down(request, path, status, seconds)


def _write_down(request: web.Request, path: str, status: int, seconds: float) -> None:
    log.info(
        "http.request",
        route=path,
        method=request.method if request.method in metrics.METHODS else "other",
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=request[REQUEST_ID],
    )


@web.middleware
async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever was raised into an answer; the outermost edge, and the only blanket catch of the web side."""
    try:
        return await handler(request)
    except RecorderError as error:
        return problems.of_error(request, error)
    except web.HTTPException as error:
        if isinstance(error, web.HTTPMove):
            return web.Response(status=error.status, headers={"Location": str(error.location)})
        return problems.of_http(request, error)
    except ConnectionError:
        raise  # nobody is there to be answered
    except Exception:
        log.exception("http.failed", request_id=request[REQUEST_ID])
        return problems.answer(request, 500, "internal", "something failed here; the request id names it in the log")


@web.middleware
async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admit whom the route's permission admits. What cannot be an id is not found, without asking the database."""
    if ROUTE in request:
        await auth.admit(request)
    if not _ID.fullmatch(request.match_info.get("id", "any")):
        raise NotFoundError
    return await handler(request)


@web.middleware
async def read_once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the whole body before the handler starts, within limits of size and time; later reads get the same bytes."""
    route = request.get(ROUTE)
    if route is None or route.streams or not request.can_read_body:
        return await handler(request)
    if (request.content_length or 0) > request.client_max_size:
        raise TooLargeError
    try:
        if request.content.is_eof():  # it is all here, as small bodies are: no timer needed
            await request.read()
        else:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError:
        raise web.HTTPBadRequest from None
    return await handler(request)
