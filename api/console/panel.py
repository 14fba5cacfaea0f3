"""The agent's panel: four buttons for the call that is running."""

from __future__ import annotations

from aiohttp import web

from api import inputs
from api.auth import now
from api.pages import render
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, staff
from recorder import buttons
from recorder.errors import CallNotFoundError, ConflictError

ACTS = {"consent": buttons.consent, "pause": buttons.pause, "resume": buttons.resume, "stop": buttons.stop}


async def panel(request: web.Request) -> web.Response:
    """The buttons, and a field for the call's id."""
    return render(request, "console/panel.html", call="", done=None, refused=None)


async def press(request: web.Request) -> web.Response:
    """Do what the button says, and show the panel again with what came of it."""
    fields = await inputs.form(request)
    act = inputs.one_of(fields, "act", ACTS)
    call = inputs.needed(fields, "call", longest=200)
    try:
        await run(request, ACTS[act], request.app[SERVICE], call, actor=request[ACTOR], now=now(request))
    except (CallNotFoundError, ConflictError) as error:
        return render(request, "console/panel.html", status=409, call=call, done=None, refused=error.code)
    return render(request, "console/panel.html", call=call, done=act, refused=None)


ROUTES = [
    Route("GET", "/console/panel", panel, staff("agent")),
    Route("POST", "/console/panel", press, staff("agent")),
]
