"""Signing in by pasting a token, until single sign-on comes; and signing out."""

from __future__ import annotations

from aiohttp import web

from api import auth, inputs
from api.pages import render
from api.pools import run
from api.routing import SERVICE, Route, staff
from recorder.errors import RefusedError


async def sign_in_page(request: web.Request) -> web.Response:
    """The page that asks for a token."""
    return render(request, "console/sign_in.html", refused=False)


async def sign_in(request: web.Request) -> web.Response:
    """Open a session for a token; the same answer for every token that opens none."""
    service = request.app[SERVICE]
    fields = await inputs.form(request)
    try:
        cookie = await run(request, auth.sign_in, service, fields.get("token", ""), auth.now(request))
    except RefusedError:
        return render(request, "console/sign_in.html", status=401, refused=True)
    response = web.Response(status=303, headers={"Location": "/console/"})
    auth.set_cookie(response, service, "staff", cookie)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session, here and on the server."""
    service = request.app[SERVICE]
    await run(request, auth.sign_out, service, request[auth.STAFF_SESSION])
    response = web.Response(status=303, headers={"Location": "/console/sign-in", "Clear-Site-Data": '"cache"'})
    auth.drop_cookie(response, service, "staff")
    return response


async def stay(request: web.Request) -> web.Response:
    """Stay signed in: asking is enough. Answers with the number of seconds that are left."""
    return web.Response(text=str(auth.session_seconds(request)))


async def front_door(_request: web.Request) -> web.Response:
    """The address as people type it."""
    return web.Response(status=308, headers={"Location": "/console/"})


ROUTES = [
    Route("GET", "/console", front_door, "public"),
    Route("GET", "/console/sign-in", sign_in_page, "public"),
    Route("POST", "/console/sign-in", sign_in, "public"),
    Route("POST", "/console/stay", stay, staff("agent", "reviewer", "dpo")),
    Route("POST", "/console/sign-out", sign_out, staff("agent", "reviewer", "dpo")),
]
