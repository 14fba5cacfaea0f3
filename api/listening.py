"""Audio for staff, over the API and in the console alike. Handles plaintext audio."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from api import auth, ranges
from api.pools import run
from api.routing import ACTOR, SERVICE
from recorder import listening, tokens


async def answer(request: web.Request, recording_id: str, *, purpose: str, rendition: str | None) -> web.StreamResponse:
    """Stream a recording to whoever the route admitted. The listening is written down before the first byte.

    The stream ends when the recording does, when the token is revoked, or when the person signs out.
    """
    heard = await run(
        request,
        listening.open_for_staff,
        request.app[SERVICE],
        recording_id,
        actor=request[ACTOR],
        purpose=purpose,
        rendition=rendition or "playback",
        now=auth.now(request),
    )
    still_there = _still_admitted(request)

    def recheck(moment: datetime) -> None:
        still_there(moment)
        heard.recheck(moment)

    return await ranges.respond(request, heard.reader, heard.content_type, recheck=recheck, etag=heard.etag)


def _still_admitted(request: web.Request) -> Callable[[datetime], None]:
    service, actor = request.app[SERVICE], request[ACTOR]
    cookie = request.cookies.get(auth.cookie_name(service, "staff")) if auth.STAFF_SESSION in request else None

    def check(moment: datetime) -> None:
        if cookie is None:
            tokens.holder(service, actor.id, moment)
        else:
            auth.signed_in(service, cookie, moment)

    return check
