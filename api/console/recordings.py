"""Finding recordings in the console, looking at one, and listening for a purpose."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api import inputs, listening, schemas
from api.auth import STAFF_SESSION, now
from api.console import searches
from api.pages import render
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, staff
from recorder import finding
from recorder import listening as hearing
from recorder.errors import ForbiddenError, InvalidInputError
from recorder.finding import FoundPage
from recorder.segments import SEGMENTS

FIELDS = ("phone", "account", "agent", "queue", "case", "segment", "state", "from", "to")


async def find(request: web.Request) -> web.Response:
    """The search form, and below it what was found."""
    fields: dict[str, str] = {}
    if "q" in request.query:
        session = request[STAFF_SESSION].id
        try:
            fields = await run(
                request, searches.opened, request.app[SERVICE], request.query["q"], session, now(request)
            )
        except InvalidInputError:
            return _page(request, fields, None, fault="search")
    if request[ACTOR].role == "agent" and not fields:
        return _page(request, fields, None)
    try:
        found = await run(
            request,
            finding.search,
            request.app[SERVICE],
            inputs.checked(schemas.Search, fields).query(),
            actor=request[ACTOR],
            now=now(request),
            cursor=request.query.get("cursor"),
        )
    except InvalidInputError as error:
        return _page(request, fields, None, fault=str(error).partition(" ")[0])
    except ForbiddenError:
        return _page(request, fields, None, fault="narrow")
    return _page(request, fields, found)


async def search(request: web.Request) -> web.Response:
    """Take what was typed and go to an address that does not show it."""
    fields = await inputs.form(request)
    typed = {name: fields[name][: finding.LONGEST_VALUE] for name in FIELDS if name in fields}
    if not typed:
        return web.Response(status=303, headers={"Location": "/console/recordings"})
    address = await run(request, searches.sealed, request.app[SERVICE], typed, request[STAFF_SESSION].id, now(request))
    return web.Response(status=303, headers={"Location": f"/console/recordings?q={address}"})


async def look(request: web.Request) -> web.Response:
    """One recording: facts, consent, holds, and a player once a purpose is chosen."""
    actor = request[ACTOR]
    found = await run(
        request, finding.look, request.app[SERVICE], request.match_info["id"], actor=actor, now=now(request)
    )
    purposes = await run(
        request, hearing.purposes, request.app[SERVICE], found.recording.id, actor=actor, now=now(request)
    )
    chosen = request.query.get("purpose")
    return render(
        request,
        "console/recording.html",
        found=found,
        recording=found.recording,
        personal=found.personal,
        purposes=purposes,
        purpose=chosen if chosen in purposes else None,
    )


async def audio(request: web.Request) -> web.StreamResponse:
    """The player's source."""
    return await listening.answer(
        request,
        request.match_info["id"],
        purpose=inputs.needed(request.query, "purpose"),
        rendition=inputs.text(request.query, "rendition"),
    )


def _page(
    request: web.Request, fields: dict[str, str], page: FoundPage | None, *, fault: str | None = None
) -> web.Response:
    onward: dict[str, Any] = {}
    if page and page.next:
        onward = {"cursor": page.next} | ({"q": request.query["q"]} if "q" in request.query else {})
    return render(
        request,
        "console/recordings.html",
        status=400 if fault else 200,
        fields=fields,
        items=page.items if page else None,
        onward=str(request.rel_url.with_query(onward)) if onward else None,
        further="cursor" in request.query,
        q=request.query.get("q"),
        fault=fault,
        segments=SEGMENTS,
        states=finding.STATES,
    )


READERS = staff("dpo", "reviewer", "agent")
ROUTES = [
    Route("GET", "/console/recordings", find, READERS),
    Route("POST", "/console/recordings/search", search, READERS),
    Route("GET", "/console/recordings/{id}", look, READERS),
    Route("GET", "/console/recordings/{id}/audio", audio, staff("dpo", "reviewer"), pool="audio"),
]
