"""Requests of data subjects over JSON: open, approve, refuse, extend, send the link again."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api import inputs, shapes
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, roles
from recorder import subject_requests
from recorder.errors import InvalidInputError

IDENTITY_METHODS = ("callback", "self_service", "mitid", "in_person", "other")


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
    return web.json_response(shapes.subject_request(opened), status=201)


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
    method = inputs.one_of(identity, "method", IDENTITY_METHODS)
    return await _done(request, subject_requests.approve, chosen, method)


async def refuse_request(request: web.Request) -> web.Response:
    """Refuse, with the reason the person is told."""
    body = await inputs.document(request) if request.can_read_body else {}
    inputs.known(body, ("reason",))
    return await _done(request, subject_requests.refuse)


async def extend_request(request: web.Request) -> web.Response:
    """Take two months more, with the reason the person is told."""
    body = await inputs.document(request) if request.can_read_body else {}
    inputs.known(body, ("reason",))
    return await _done(request, subject_requests.extend)


async def reissue_link(request: web.Request) -> web.Response:
    """Send a new link; the last one opens nothing any more."""
    return await _done(request, subject_requests.reissue, status=202)


async def _done(request: web.Request, act: Any, *choices: Any, status: int = 200) -> web.Response:
    service, request_id = request.app[SERVICE], request.match_info["id"]
    await run(request, act, service, request_id, *choices, request[ACTOR], now(request))
    service.wake("deliver")
    found = await run(request, subject_requests.look, service, request_id)
    return web.json_response(shapes.subject_request(found), status=status)


ONE = "/v1/subject-requests/{id}"
DPO = roles("dpo")
ROUTES = [
    Route("POST", "/v1/subject-requests", open_request, DPO),
    Route("POST", ONE + "/approve", approve_request, DPO),
    Route("POST", ONE + "/refuse", refuse_request, DPO),
    Route("POST", ONE + "/extend", extend_request, DPO),
    Route("POST", ONE + "/links", reissue_link, DPO),
]
