"""Requests of data subjects over JSON: open, list, look, approve, refuse, extend, send the link again or close it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web

from api import inputs, schemas, shapes
from api.answers import done_once, given, nothing
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Contract, Route, roles
from recorder import subject_requests
from recorder.errors import RequestNotFoundError
from recorder.once import Once
from recorder.ports import Service
from recorder.subject_requests import identity_check, listing
from storage.catalogue import requests


async def open_request(request: web.Request) -> web.Response:
    """Open a request about a number, an account or a call: its matches and its deadline."""
    wish = await inputs.body(request, schemas.NewRequest)
    service, actor, moment = request.app[SERVICE], request[ACTOR], now(request)

    def act(once: Once) -> str:
        return subject_requests.open_request(
            service,
            wish.kind,
            phone=wish.phone,
            account=wish.account,
            call=wish.call,
            received_at=wish.received_at,
            actor=actor,
            now=moment,
            once=once,
        ).id

    return await _shown(request, await done_once(request, act), 201)


async def list_requests(request: web.Request) -> web.Response:
    """List the requests that are open, the first due first."""
    wanted = inputs.query(request, schemas.Onward)
    return given(request, await run(request, _listed, request.app[SERVICE], wanted))


async def get_request(request: web.Request) -> web.Response:
    """One request: its state, its matches and its deadline."""
    return await _shown(request, request.match_info["id"])


async def approve_request(request: web.Request) -> web.Response:
    """Say which recordings the person gets, and how we know who they are; the link goes out by mail."""
    said = await inputs.body(request, schemas.Approval)
    approve = partial(subject_requests.approve, recording_ids=said.recordings, identity_method=said.identity.method)
    return await _shown(request, await _done(request, approve))


async def refuse_request(request: web.Request) -> web.Response:
    """Refuse, saying why by one of the codes; the person is told, and where to complain."""
    said = await inputs.body(request, schemas.Refusal, optional=True)
    refuse = partial(subject_requests.refuse, reason=said.reason, explanation=said.text or "")
    return await _shown(request, await _done(request, refuse))


async def extend_request(request: web.Request) -> web.Response:
    """Take two months more, once, within the first month; the person is told why."""
    said = await inputs.body(request, schemas.Extension, optional=True)
    return await _shown(request, await _done(request, partial(subject_requests.extend, reason=said.reason)))


async def check_identity(request: web.Request) -> web.Response:
    """Ask the person, at the address on file, to show who they are; or note that they have answered."""
    said = await inputs.body(request, schemas.IdentityStep)
    act = identity_check.ask if said.step == "ask" else identity_check.answered
    return await _shown(request, await _done(request, act))


async def reissue_link(request: web.Request) -> web.Response:
    """Send a new link; the last one opens nothing any more."""
    return await _shown(request, await _done(request, subject_requests.reissue), 202)


async def revoke_links(request: web.Request) -> web.Response:
    """Close the request's links and the sessions opened by them, and send no other."""
    await _done(request, subject_requests.revoke)
    return nothing(request)


async def _done(request: web.Request, act: Callable[..., None]) -> str:
    service, actor, moment, request_id = request.app[SERVICE], request[ACTOR], now(request), request.match_info["id"]

    def acted(once: Once) -> str:
        act(service, request_id, actor=actor, now=moment, once=once)
        return request_id

    return await done_once(request, acted)


async def _shown(request: web.Request, request_id: str, status: int = 200) -> web.Response:
    return given(request, await run(request, _shape, request.app[SERVICE], request_id), status)


def _shape(service: Service, request_id: str) -> schemas.SubjectRequest:
    with service.database.read() as connection:
        wish = requests.get(connection, request_id)
        matches = requests.matched(connection, request_id)
    if wish is None:
        raise RequestNotFoundError
    return shapes.subject_request(wish, [match.recording_id for match in matches])


def _listed(service: Service, wanted: schemas.Onward) -> schemas.SubjectRequests:
    page = listing.open_requests(service, cursor=wanted.cursor, limit=wanted.limit)
    with service.database.read() as connection:
        matches = requests.matched_of(connection, [wish.id for wish in page.items])
    items = [shapes.subject_request(wish, matches.get(wish.id, [])) for wish in page.items]
    return schemas.SubjectRequests(items=items, next=page.next)


ALL = "/v1/subject-requests"
ONE = ALL + "/{id}"
DPO = roles("dpo")


def _act(takes: type | None = None, *, status: int = 200, optional: bool = False) -> Contract:
    return Contract(
        takes={"application/json": takes} if takes else {},
        optional=optional,
        gives={status: None if status == 204 else schemas.SubjectRequest},  # noqa: PLR2004 -- HTTP
        refuses=("request_not_found", "conflict", "key_destroyed"),
        once=True,
    )


ROUTES = [
    Route(
        "POST",
        ALL,
        open_request,
        DPO,
        contract=Contract(
            takes={"application/json": schemas.NewRequest},
            gives={201: schemas.SubjectRequest},
            refuses=("request_not_found", "directory_unavailable"),
            once=True,
        ),
    ),
    Route(
        "GET",
        ALL,
        list_requests,
        DPO,
        contract=Contract(query=schemas.Onward, gives={200: schemas.SubjectRequests}, refuses=("cursor_invalid",)),
    ),
    Route(
        "GET",
        ONE,
        get_request,
        DPO,
        contract=Contract(gives={200: schemas.SubjectRequest}, refuses=("request_not_found",)),
    ),
    Route("POST", ONE + "/approve", approve_request, DPO, contract=_act(schemas.Approval)),
    Route("POST", ONE + "/refuse", refuse_request, DPO, contract=_act(schemas.Refusal, optional=True)),
    Route("POST", ONE + "/extend", extend_request, DPO, contract=_act(schemas.Extension, optional=True)),
    Route("POST", ONE + "/identity", check_identity, DPO, contract=_act(schemas.IdentityStep)),
    Route("POST", ONE + "/links", reissue_link, DPO, contract=_act(status=202)),
    Route("DELETE", ONE + "/links", revoke_links, DPO, contract=_act(status=204)),
]
