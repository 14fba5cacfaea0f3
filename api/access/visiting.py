"""Who visits by link and code, and the pages they are shown."""

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
    """Admit who has shown link and code; everybody else gets the one answer for a link that does not work."""

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
    """As `visited`, with no more than so many at once."""

    @wraps(handler)
    async def counted(request: web.Request, visit: Visit) -> web.StreamResponse:
        with one_stream_more(request, visit.link.id):
            return await handler(request, visit)

    return visited(counted)


def cookie_of(request: web.Request) -> str:
    """What the visitor's browser holds of the session, whether or not that is still good."""
    return request.cookies.get(auth.cookie_name(request.app[SERVICE], COOKIE), "")


def show(request: web.Request, template: str, *, status: int = 200, **words: Any) -> web.Response:
    """A page in the name of the organisation, or of the brand that `organisation` is."""
    organisation: Organisation = words.pop("organisation", request.app[SERVICE].settings.organisation)
    phone = readable_phone(organisation.phone)
    calls = request.app[SERVICE].caller is not None
    return render(request, template, status=status, organisation=organisation, phone=phone, calls=calls, **words)


def dead(request: web.Request) -> web.Response:
    """The one answer for every link that does not work, whyever."""
    return show(request, "access/dead.html", status=404)


def to(path: str, request: web.Request | None = None) -> web.Response:
    """A redirect that keeps a wish for a language."""
    wish = f"?lang={language(request)}" if request is not None and "lang" in request.query else ""
    return web.Response(status=303, headers={"Location": path + wish})


def page_contract(*others: int, form: type | None = None) -> Contract:
    """Of a page: what is posted to it, and what it may answer with besides itself."""
    takes = {"application/x-www-form-urlencoded": form} if form else {}
    gives = {status: None if status == 303 else "text/html" for status in (200, *others)}  # noqa: PLR2004 -- HTTP
    return Contract(takes=takes, optional=True, gives=gives)
