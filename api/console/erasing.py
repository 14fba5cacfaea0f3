"""Deleting by hand: what it will do, one named button, and the certificate; and the holds that forbid it."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from api import inputs
from api.auth import now
from api.fields import ID
from api.orders import erase as erase_now
from api.pages import render
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, staff
from recorder import erasure, finding, holds
from recorder.errors import ErasingError, HeldError, InvalidInputError, RecordingNotFoundError


async def preview(request: web.Request) -> web.Response:
    """What deleting this recording would destroy and leave, and what stops it."""
    return await _preview(request)


async def erase(request: web.Request) -> web.Response:
    """Delete for good, and show the certificate."""
    fields = await inputs.form(request)
    recording_id = request.match_info["id"]
    reason = fields.get("reason")
    if reason not in erasure.REASONS:
        return await _preview(request, fault="reason", status=400)
    try:
        await erase_now(request, recording_id, reason)
    except HeldError:
        return await _preview(request, fault="held", status=409)
    return web.Response(status=303, headers={"Location": f"/console/certificates/{recording_id}"})


async def certificate(request: web.Request) -> web.Response:
    """Proof of an erasure, to read, print or keep."""
    some_id = request.match_info["id"]
    try:
        facts = await run(request, erasure.certificate, request.app[SERVICE], some_id)
    except ErasingError:
        return render(request, "console/erasing.html", recording_id=some_id)
    return render(request, "console/certificate.html", facts=facts)


async def find_certificate(request: web.Request) -> web.Response:
    """Redirect to the certificate whose number a customer has."""
    number = request.query.get("number", "").strip()
    if not re.fullmatch(ID, number):
        raise RecordingNotFoundError
    return web.Response(status=303, headers={"Location": f"/console/certificates/{number}"})


async def place_hold(request: web.Request) -> web.Response:
    """Keep a recording past its day."""
    fields = await inputs.form(request)
    recording_id = request.match_info["id"]
    await run(
        request,
        holds.place,
        request.app[SERVICE],
        recording_id,
        inputs.one_of(fields, "kind", ("legal", "dispute", "restriction")),
        inputs.needed(fields, "reason", longest=100),
        request[ACTOR],
        now(request),
    )
    return web.Response(status=303, headers={"Location": f"/console/recordings/{recording_id}"})


async def release_hold(request: web.Request) -> web.Response:
    """End a hold."""
    recording_id = inputs.needed(await inputs.form(request), "recording")
    if not re.fullmatch(ID, recording_id):
        raise InvalidInputError("recording is not an id")
    await run(request, holds.release, request.app[SERVICE], request.match_info["id"], request[ACTOR], now(request))
    return web.Response(status=303, headers={"Location": f"/console/recordings/{recording_id}"})


async def _preview(request: web.Request, *, fault: str | None = None, status: int = 200) -> web.Response:
    service, recording_id = request.app[SERVICE], request.match_info["id"]
    found = await run(request, finding.look, service, recording_id, actor=request[ACTOR], now=now(request))
    effect: dict[str, Any] = await run(request, erasure.preview, service, recording_id)
    return render(
        request,
        "console/erase.html",
        status=status,
        recording=found.recording,
        effect=effect,
        reasons=erasure.REASONS,
        fault=fault,
    )


DPO = staff("dpo")
ROUTES = [
    Route("GET", "/console/recordings/{id}/erase", preview, DPO),
    Route("POST", "/console/recordings/{id}/erase", erase, DPO),
    Route("GET", "/console/certificates", find_certificate, DPO),
    Route("GET", "/console/certificates/{id}", certificate, DPO),
    Route("POST", "/console/recordings/{id}/holds", place_hold, DPO),
    Route("POST", "/console/holds/{id}/release", release_hold, DPO),
]
