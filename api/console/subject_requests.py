"""Requests of data subjects in the console: opening them, their page, and every answer but yes (see `choosing`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from api import inputs
from api.auth import now
from api.pages import render
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, staff
from recorder import finding, subject_requests
from recorder.actors import Actor
from recorder.deadlines import ZONE
from recorder.disclosure.paging import Leaf, leaf
from recorder.errors import InvalidInputError, RecordingNotFoundError, RequestNotFoundError
from recorder.finding import Found
from recorder.ports import Service
from recorder.subject_requests import contacts, identity_check
from recorder.subject_requests.course import DISCLOSING
from recorder.subject_requests.listing import open_requests
from storage.catalogue import requests
from storage.catalogue.requests import Listed, Match, Request

PAGE = 50  # recordings
LEFT_OUT = "left_out"
SHOWN = ("phone", "account", "call")


async def listing(request: web.Request) -> web.Response:
    """The open requests, and the form to open one."""
    return await _listing(request)


async def open_request(request: web.Request) -> web.Response:
    """Open a request and show what was found."""
    fields = await inputs.form(request)
    if sum(name in fields for name in ("phone", "account", "call")) != 1:
        return await _listing(request, fields=fields, fault="one")
    try:
        opened = await run(
            request,
            subject_requests.open_request,
            request.app[SERVICE],
            inputs.one_of(fields, "kind", subject_requests.KINDS),
            phone=fields.get("phone"),
            account=fields.get("account"),
            call=fields.get("call"),
            received_at=inputs.moment(fields, "received_at"),
            actor=request[ACTOR],
            now=now(request),
        )
    except InvalidInputError as error:
        return await _listing(request, fields=fields, fault=str(error).partition(" ")[0])
    return _to(opened.id)


async def look(request: web.Request) -> web.Response:
    """One request."""
    return await page(request)


async def refuse(request: web.Request) -> web.Response:
    """Refuse it, saying why."""
    fields = await inputs.form(request)
    explanation = inputs.text(fields, "text", longest=subject_requests.LONGEST_EXPLANATION) or ""
    reason = inputs.needed(fields, "reason", longest=60)
    return await done(request, subject_requests.refuse, reason=reason, explanation=explanation)


async def extend(request: web.Request) -> web.Response:
    """Take two months more, saying why."""
    fields = await inputs.form(request)
    reason = inputs.text(fields, "reason", longest=60) or subject_requests.EXTENSIONS[0]
    return await done(request, subject_requests.extend, reason=reason)


async def ask_identity(request: web.Request) -> web.Response:
    """Write to the address on file, asking the person to show who they are."""
    return await done(request, identity_check.ask)


async def identity_answered(request: web.Request) -> web.Response:
    """Note that the person has answered: the deadline runs again."""
    return await done(request, identity_check.answered)


async def reissue(request: web.Request) -> web.Response:
    """Send a new link."""
    return await done(request, subject_requests.reissue)


async def revoke(request: web.Request) -> web.Response:
    """Close the link."""
    return await done(request, subject_requests.revoke)


async def done(request: web.Request, act: Callable[..., None], *choices: Any, **details: str) -> web.Response:
    request_id = request.match_info["id"]
    await run(request, act, request.app[SERVICE], request_id, *choices, request[ACTOR], now(request), **details)
    return _to(request_id)


def _to(request_id: str) -> web.Response:
    return web.Response(status=303, headers={"Location": f"/console/requests/{request_id}"})


async def _listing(
    request: web.Request, *, fields: dict[str, str] | None = None, fault: str | None = None
) -> web.Response:
    cursor = request.query.get("cursor")
    here = await run(request, open_requests, request.app[SERVICE], cursor=cursor)
    return render(
        request,
        "console/requests.html",
        status=400 if fault else 200,
        items=here.items,
        about=await run(request, _about, request.app[SERVICE], here.items, now(request)),
        onward=here.next,
        further=cursor is not None,
        fields=fields or {},
        fault=fault,
        kinds=subject_requests.KINDS,
        deadline=identity_check.deadline,
        now=now(request),
        today=now(request).astimezone(ZONE).date().isoformat(),
    )


async def page(request: web.Request, *, fault: str | None = None, status: int = 200) -> web.Response:
    """The page of a request, with those of its matches that `at` and `show` in the address select."""
    service = request.app[SERVICE]
    wish, listed = await run(request, wished, service, request.match_info["id"])
    undecided = wish.state == "received"
    left_out = [one for one in listed if not (one.match.ticked if undecided else one.match.approved)]
    only_left_out = request.query.get("show") == LEFT_OUT
    here = leaf(left_out if only_left_out else listed, request.query.get("at"), PAGE)
    return render(
        request,
        "console/request.html",
        status=status,
        wish=wish,
        about=(await run(request, _about, service, [wish], now(request)))[wish.id],
        here=here,
        calls=await run(request, _dressed, service, here, request[ACTOR], now(request)),
        total=len(listed),
        left_out=len(left_out),
        only_left_out=only_left_out,
        open=undecided,
        query=request.query_string,
        methods=subject_requests.IDENTITY_METHODS,
        refusals=subject_requests.REFUSALS,
        extensions=subject_requests.EXTENSIONS,
        closes_at=identity_check.closes_at(wish.identity_asked_at) if wish.identity_asked_at else None,
        deadline=identity_check.deadline,
        has_link=wish.kind in DISCLOSING,
        fault=fault,
        now=now(request),
    )


def wished(service: Service, request_id: str) -> tuple[Request, list[Listed]]:
    """A request and all its matches. Raises `RequestNotFoundError`."""
    with service.database.read() as connection:
        wish = requests.get(connection, request_id)
        listed = requests.listed(connection, request_id)
    if wish is None:
        raise RequestNotFoundError
    return wish, listed


def _about(service: Service, wishes: Sequence[Request], moment: datetime) -> dict[str, dict[str, str]]:
    """Whom each is about: the phone, account or call that was asked for."""
    asked = {wish.id: contacts.still_asked(service, wish, moment) for wish in wishes}
    return {wish_id: {name: one[name] for name in SHOWN if name in one} for wish_id, one in asked.items()}


def _dressed(service: Service, here: Leaf, actor: Actor, moment: datetime) -> list[tuple[Match, Found | None]]:
    """Each match of a page with its recording, or None where that is gone."""
    calls: list[tuple[Match, Found | None]] = []
    for one in here.items:
        try:
            found = finding.look(service, one.match.recording_id, actor=actor, now=moment)
        except RecordingNotFoundError:
            found = None
        calls.append((one.match, found))
    return calls


DPO = staff("dpo")
ONE = "/console/requests/{id}"
ROUTES = [
    Route("GET", "/console/requests", listing, DPO),
    Route("POST", "/console/requests", open_request, DPO),
    Route("GET", ONE, look, DPO),
    Route("POST", ONE + "/refuse", refuse, DPO),
    Route("POST", ONE + "/extend", extend, DPO),
    Route("POST", ONE + "/identity/ask", ask_identity, DPO),
    Route("POST", ONE + "/identity/answered", identity_answered, DPO),
    Route("POST", ONE + "/links", reissue, DPO),
    Route("POST", ONE + "/links/revoke", revoke, DPO),
]
