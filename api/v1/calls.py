"""The agent's buttons, and audio pushed by an exchange. Handles plaintext audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from aiohttp import web

from api import inputs
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, roles
from recorder import buttons, capture
from recorder.errors import ConflictError, InvalidInputError

CHUNK_BYTES = 256 * 1024
STALL_SECONDS = 60.0  # a push that sends nothing for so long has died
LONGEST_ID = 200


async def agent_consent(request: web.Request) -> web.Response:
    """The customer said yes to being recorded."""
    body = await inputs.document(request, optional=True)
    inputs.known(body, ("script",))
    return await _pressed(request, buttons.consent, script=inputs.text(body, "script", longest=100))


async def agent_pause(request: web.Request) -> web.Response:
    """Keep nothing of what is said from now on, for card data."""
    return await _pressed(request, buttons.pause)


async def agent_resume(request: web.Request) -> web.Response:
    """Keep what is said again."""
    return await _pressed(request, buttons.resume)


async def agent_stop(request: web.Request) -> web.Response:
    """The customer changed their mind: stop, and delete every recording of this call whole."""
    return await _pressed(request, buttons.stop)


async def push(request: web.Request) -> web.Response:
    """Take the audio of one recording as a stream; the same bytes again change nothing."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if not content_type:
        raise InvalidInputError("Content-Type is missing")
    result = await run(
        request,
        capture.push,
        request.app[SERVICE],
        _id(request, "call"),
        _id(request, "recording"),
        content_type,
        arriving(request),
        inputs.moment(request.query, "started_at"),
        now(request),
    )
    if result == "conflict":
        raise ConflictError("other bytes were kept under these ids")
    return web.json_response({"state": "stored"}, status=201 if result == "created" else 200)


def arriving(request: web.Request) -> Iterator[bytes]:
    """The request's body, to be read from a thread of the pool; at most one piece is ahead of its reader."""
    loop = asyncio.get_running_loop()

    async def piece() -> bytes:
        async with asyncio.timeout(STALL_SECONDS):
            return await request.content.read(CHUNK_BYTES)

    def pieces() -> Iterator[bytes]:
        while data := asyncio.run_coroutine_threadsafe(piece(), loop).result():
            yield data

    return pieces()


async def _pressed(request: web.Request, button: Callable[..., str], **details: str | None) -> web.Response:
    call_id = await run(
        request, button, request.app[SERVICE], _id(request, "call"), actor=request[ACTOR], now=now(request), **details
    )
    return web.json_response({"call_id": call_id})


def _id(request: web.Request, what: str) -> str:
    value = request.match_info[f"platform_{what}_id"]
    if not value or len(value) > LONGEST_ID or not value.isprintable():
        raise InvalidInputError(f"the {what} id must be at most {LONGEST_ID} printable characters")
    return value


CALL = "/v1/calls/{platform_call_id}"
ROUTES = [
    Route("POST", CALL + "/consent", agent_consent, roles("agent")),
    Route("POST", CALL + "/pause", agent_pause, roles("agent")),
    Route("POST", CALL + "/resume", agent_resume, roles("agent")),
    Route("POST", CALL + "/stop", agent_stop, roles("agent")),
    Route("PUT", CALL + "/recordings/{platform_recording_id}", push, roles("platform"), pool="push", streams=True),
]
