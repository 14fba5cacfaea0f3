"""The way in: the link from the mail, and a code."""

from __future__ import annotations

import re

from aiohttp import web

from api import auth, inputs, schemas
from api.access.visiting import COOKIE, HOME, LIST, cookie_of, dead, page_contract, show, to
from api.auth import now
from api.limits import limited
from api.pools import run
from api.routing import SERVICE, Contract, Route
from recorder import access_links
from recorder.access_links import Way
from recorder.errors import LinkError

LONGEST_LINK = 2000
TOKEN = re.compile(r"[A-Za-z0-9_-]{20,200}")


async def home(request: web.Request) -> web.Response:
    """Redirect to the landing page, whose address ends in a slash."""
    return to(HOME, request)


async def landing(request: web.Request) -> web.Response:
    """The page the mail leads to: the same for all, since the token stays in the browser until it is posted."""
    return show(request, "access/landing.html")


async def open_link(request: web.Request) -> web.Response:
    """Take the token, right or wrong, and offer to send a code."""
    limited(request)
    fields = await inputs.form(request)
    cookie = await run(
        request, access_links.open_link, request.app[SERVICE], _token(fields.get("token", "")), now(request)
    )
    response = show(request, "access/start.html")
    auth.set_cookie(response, request.app[SERVICE], COOKIE, cookie)
    return response


async def start_again(request: web.Request) -> web.Response:
    """The page after the link was opened, shown again for another language or a reload."""
    if not await _known(request):
        return to(HOME, request)
    return show(request, "access/start.html")


async def send_code(request: web.Request) -> web.Response:
    """Have a code sent to the number on file, or read aloud by a call to it."""
    by: Way = "call" if (await inputs.form(request)).get("by") == "call" else "sms"
    try:
        sent = await run(request, access_links.send_code, request.app[SERVICE], cookie_of(request), now(request), by)
    except LinkError:
        return dead(request)
    return _code_page(request, "" if sent else "later", rung=sent == "call", status=200 if sent else 429)


async def ask_code(request: web.Request) -> web.Response:
    """The field for the code, shown again for another language or a reload."""
    if not await _known(request):
        return to(HOME, request)
    return _code_page(request, "")


async def verify(request: web.Request) -> web.Response:
    """Try a code; the right one opens a new session."""
    service = request.app[SERVICE]
    digits = (await inputs.form(request)).get("code", "")[:40]
    try:
        tried = await run(request, access_links.verify_code, service, cookie_of(request), digits, now(request))
    except LinkError:
        return dead(request)
    if tried.token is not None:
        response = to(LIST)
        auth.set_cookie(response, service, COOKIE, tried.token)
        return response
    if tried.outcome == "locked":
        response = show(request, "access/locked.html", status=403)
        auth.drop_cookie(response, service, COOKIE)
        return response
    return _code_page(request, tried.outcome, left=tried.left, status=400)


async def leave(request: web.Request) -> web.Response:
    """End the session: for a computer that is shared."""
    service = request.app[SERVICE]
    await run(request, access_links.leave, service, cookie_of(request), now(request))
    response = to(HOME)
    auth.drop_cookie(response, service, COOKIE)
    return response


async def _known(request: web.Request) -> bool:
    return await run(request, access_links.known, request.app[SERVICE], cookie_of(request), now(request))


def _code_page(
    request: web.Request, problem: str, *, left: int = 0, rung: bool = False, status: int = 200
) -> web.Response:
    return show(request, "access/code.html", status=status, problem=problem, left=left, rung=rung)


def _token(text: str) -> str:
    """The token in what was posted or pasted: the link of the mail, or the token alone."""
    found = TOKEN.findall(text[:LONGEST_LINK].rpartition("#")[2])
    return str(found[-1]) if found else ""


MOVED = Contract(gives={303: None})
FORM = page_contract(303)
OPENED = Contract(
    takes={"application/x-www-form-urlencoded": schemas.Token},
    optional=True,
    gives={200: "text/html"},
    refuses=("too_many", "invalid_input", "too_large"),
)
VERIFIED = Contract(
    takes={"application/x-www-form-urlencoded": schemas.Code},
    optional=True,
    gives={303: None, 400: "text/html", 403: "text/html", 404: "text/html"},
)

ROUTES = [
    Route("GET", "/access", home, "public", contract=MOVED),
    Route("GET", HOME, landing, "public", contract=page_contract()),
    Route("POST", "/access/open", open_link, "public", contract=OPENED),
    Route("GET", "/access/open", start_again, "session", contract=FORM),
    Route("POST", "/access/code", send_code, "session", contract=page_contract(404, 429, form=schemas.Way)),
    Route("GET", "/access/code", ask_code, "session", contract=FORM),
    Route("POST", "/access/verify", verify, "session", contract=VERIFIED),
    Route("GET", "/access/verify", ask_code, "session", contract=FORM),
    Route("POST", "/access/leave", leave, "session", contract=MOVED),
]
