"""Visitors who come by link and code, and the pages they are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from aiohttp import web

from api import auth
from api.auth import now
from api.limits import one_stream_more
from api.pages import render
from api.pools import run
from api.routing import SERVICE, SESSION_ENDS, Contract
from api.words import language
from recorder import access_links
from recorder.access_links import Visit
from recorder.errors import LinkError
from recorder.notices import readable_phone
from recorder.settings import Organisation

COOKIE = "access"
HOME = "/access/"
LIST = "/access/recordings"
ONE = LIST + "/{id}"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Visited = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]


def visited(handler: Visited) -> Handler:
    """Admit visitors who have shown link and code; all others get the one answer for a link that does not work."""

    @wraps(handler)
    async def admitted(request: web.Request) -> web.StreamResponse:
        try:
            visit = await run(request, access_links.visit, request.app[SERVICE], cookie_of(request), now(request))
        except LinkError:
            return dead(request)
        request[SESSION_ENDS] = visit.ends_at
        return await handler(request, visit)

    return admitted


def streamed(handler: Visited) -> Handler:
    """Like `visited`, but a link has only so many of these answers at once (`limits.STREAMS_AT_ONCE`)."""

    @wraps(handler)
    async def counted(request: web.Request, visit: Visit) -> web.StreamResponse:
        with one_stream_more(request, visit.link.id):
            return await handler(request, visit)

    return visited(counted)


def cookie_of(request: web.Request) -> str:
    """The session cookie as the visitor's browser sent it, whether or not it is still valid; empty without one."""
    return request.cookies.get(auth.cookie_name(request.app[SERVICE], COOKIE), "")


def show(request: web.Request, template: str, *, status: int = 200, **words: Any) -> web.Response:
    """A page in the name of the organisation in the settings, or of the brand given as `organisation`."""
    organisation: Organisation = words.pop("organisation", request.app[SERVICE].settings.organisation)
    phone = readable_phone(organisation.phone)
    calls = request.app[SERVICE].caller is not None
    return render(request, template, status=status, organisation=organisation, phone=phone, calls=calls, **words)


def dead(request: web.Request) -> web.Response:
    """The one answer for every link that does not work, whatever the reason."""
    return show(request, "access/dead.html", status=404)


def to(path: str, request: web.Request | None = None) -> web.Response:
    """A redirect; with `request`, one that keeps the language chosen in its address."""
    wish = f"?lang={language(request)}" if request is not None and "lang" in request.query else ""
    return web.Response(status=303, headers={"Location": path + wish})


def page_contract(*others: int, form: type | None = None) -> Contract:
    """The contract of a page: the form posted to it, and the statuses it may answer with besides 200."""
    takes = {"application/x-www-form-urlencoded": form} if form else {}
    gives = {status: None if status == 303 else "text/html" for status in (200, *others)}  # noqa: PLR2004 -- HTTP
    return Contract(takes=takes, optional=True, gives=gives)
