"""Requests of data subjects over JSON: open, approve, refuse, extend, send the link again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from api import inputs, shapes
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, roles
from recorder import subject_requests
from recorder.errors import InvalidInputError, RequestNotFoundError
from recorder.ports import Service
from storage.catalogue import requests


async def open_request(request: web.Request) -> web.Response:
    """Open a request about a number, an account or a call: its matches and its deadline."""
    body = await inputs.document(request)
    inputs.known(body, ("kind", "phone", "account", "call", "received_at"))
    opened = await run(
        request,
        subject_requests.open_request,
        request.app[SERVICE],
        inputs.needed(body, "kind", longest=40),
        phone=inputs.text(body, "phone", longest=100),
        account=inputs.text(body, "account", longest=200),
        call=inputs.text(body, "call", longest=200),
        received_at=inputs.moment(body, "received_at"),
        actor=request[ACTOR],
        now=now(request),
    )
    return web.json_response(await run(request, _shape, request.app[SERVICE], opened.id), status=201)


async def approve_request(request: web.Request) -> web.Response:
    """Say which recordings the person gets, and how we know who they are; the link goes out by mail."""
    body = await inputs.document(request)
    inputs.known(body, ("recordings", "identity"))
    chosen = body.get("recordings")
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise InvalidInputError("recordings must be a list of ids")
    identity = body.get("identity")
    if not isinstance(identity, dict):
        raise InvalidInputError("identity must name its method")
    method = inputs.one_of(identity, "method", subject_requests.IDENTITY_METHODS)
    return await _done(request, subject_requests.approve, chosen, method)


async def refuse_request(request: web.Request) -> web.Response:
    """Refuse, saying why by one of the codes."""
    body = await inputs.document(request, optional=True)
    inputs.known(body, ("reason",))
    reason = inputs.text(body, "reason", longest=60) or "other"
    return await _done(request, subject_requests.refuse, reason=reason)


async def extend_request(request: web.Request) -> web.Response:
    """Take two months more, once, within the first month."""
    return await _done(request, subject_requests.extend)


async def reissue_link(request: web.Request) -> web.Response:
    """Send a new link; the last one opens nothing any more."""
    return await _done(request, subject_requests.reissue, status=202)


async def _done(
    request: web.Request, act: Callable[..., None], *choices: Any, status: int = 200, **details: str
) -> web.Response:
    service, request_id = request.app[SERVICE], request.match_info["id"]
    await run(request, act, service, request_id, *choices, request[ACTOR], now(request), **details)
    return web.json_response(await run(request, _shape, service, request_id), status=status)


def _shape(service: Service, request_id: str) -> dict[str, Any]:
    with service.database.read() as connection:
        wish = requests.get(connection, request_id)
        matches = requests.matched(connection, request_id)
    if wish is None:
        raise RequestNotFoundError
    return shapes.subject_request(wish, [match.recording_id for match in matches])


ONE = "/v1/subject-requests/{id}"
DPO = roles("dpo")
ROUTES = [
    Route("POST", "/v1/subject-requests", open_request, DPO),
    Route("POST", ONE + "/approve", approve_request, DPO),
    Route("POST", ONE + "/refuse", refuse_request, DPO),
    Route("POST", ONE + "/extend", extend_request, DPO),
    Route("POST", ONE + "/links", reissue_link, DPO),
]
