"""Mails that came back, reported by the mail provider's webhook or a script that reads the bounce mailbox."""

from __future__ import annotations

from aiohttp import web

from api import inputs, schemas
from api.answers import given
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Contract, Route, roles
from recorder.delivery import bounces


async def report_bounce(request: web.Request) -> web.Response:
    """Say which mail came back: its link stops, and people are asked to look."""
    said = await inputs.body(request, schemas.Bounce)
    outcome = await run(request, bounces.report, request.app[SERVICE], said.message_id, request[ACTOR], now(request))
    return given(request, schemas.Bounced(outcome=outcome))


ROUTES = [
    Route(
        "POST",
        "/v1/bounces",
        report_bounce,
        roles("operator"),
        contract=Contract(
            takes={"application/json": schemas.Bounce}, gives={200: schemas.Bounced}, refuses=("not_found",)
        ),
    )
]
