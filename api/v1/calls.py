"""The agent's buttons, and audio pushed by an exchange. Handles plaintext audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from aiohttp import web

from api import inputs, schemas
from api.answers import done_once, given
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Contract, Route, roles
from recorder import buttons
from recorder.capture import pushing
from recorder.errors import AudioTimeoutError, ConflictError, InvalidInputError
from recorder.once import Once

CHUNK_BYTES = 256 * 1024
STALL_SECONDS = 60.0  # a push that brings next to nothing for so long has died
STALL_BYTES = 1024  # Opus brings more even in silence: a page of 28 bytes and its packets every second
LONGEST_ID = 200
AUDIO = ("audio/wav", "audio/mpeg", "audio/ogg", "audio/flac")


async def agent_consent(request: web.Request) -> web.Response:
    """The customer said yes to being recorded."""
    press = await inputs.body(request, schemas.Press, optional=True)
    return await _pressed(request, partial(buttons.consent, script=press.script))


async def agent_pause(request: web.Request) -> web.Response:
    """Keep nothing of what is said from now on, for card data."""
    return await _pressed(request, buttons.pause)


async def agent_resume(request: web.Request) -> web.Response:
    """From now on, keep again what is said."""
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
        pushing.push,
        request.app[SERVICE],
        _id(request, "call"),
        _id(request, "recording"),
        content_type,
        arriving(request),
        inputs.query(request, schemas.Pushing).started_at,
        now(request),
    )
    if result == "conflict":
        raise ConflictError("other bytes were kept under these ids")
    return given(request, schemas.Pushed(), 201 if result == "created" else 200)


def arriving(request: web.Request) -> Iterator[bytes]:
    """The request's body, to be read from a thread of the pool; at most one piece is ahead of its reader.

    Reading raises `AudioTimeoutError` where next to nothing comes any more, or where the whole takes too long.
    """
    loop = asyncio.get_running_loop()

    async def piece(end: float) -> bytes:
        gathered = b""
        try:
            async with asyncio.timeout_at(min(end, loop.time() + STALL_SECONDS)):
                while len(gathered) < STALL_BYTES and (data := await request.content.read(CHUNK_BYTES)):
                    gathered += data
        except TimeoutError:
            raise AudioTimeoutError from None
        return gathered

    def pieces() -> Iterator[bytes]:
        end = loop.time() + pushing.longest(request.app[SERVICE].settings)
        while data := asyncio.run_coroutine_threadsafe(piece(end), loop).result():
            yield data

    return pieces()


async def _pressed(request: web.Request, button: Callable[..., str]) -> web.Response:
    service, actor, moment, platform_call_id = request.app[SERVICE], request[ACTOR], now(request), _id(request, "call")

    def press(once: Once) -> str:
        return button(service, platform_call_id, actor=actor, now=moment, once=once)

    return given(request, schemas.Call(call_id=await done_once(request, press)))


def _id(request: web.Request, what: str) -> str:
    value = request.match_info[f"platform_{what}_id"]
    if not value or len(value) > LONGEST_ID or not value.isprintable():
        raise InvalidInputError(f"the {what} id must be at most {LONGEST_ID} printable characters")
    return value


CALL = "/v1/calls/{platform_call_id}"
PRESSED = Contract(
    gives={200: schemas.Call},
    refuses=("call_not_found", "invalid_input"),
    once=True,
)
WITH_SCRIPT = Contract(
    takes={"application/json": schemas.Press}, optional=True, gives=PRESSED.gives, refuses=PRESSED.refuses, once=True
)
PUSHED = Contract(
    takes={kind: {} for kind in AUDIO},
    query=schemas.Pushing,
    gives={201: schemas.Pushed, 200: schemas.Pushed},
    refuses=(
        "invalid_input",
        "call_not_found",
        "recording_not_found",
        "conflict",
        "consent_pending",
        "consent_missing",
        "lease_lost",
        "too_large",
        "audio_unsupported",
        "audio_invalid",
        "audio_empty",
        "audio_truncated",
        "audio_too_long",
        "audio_timeout",
        "audio_not_ready",
    ),
)
AGENT = roles("agent")
ROUTES = [
    Route("POST", CALL + "/consent", agent_consent, AGENT, contract=WITH_SCRIPT),
    Route("POST", CALL + "/pause", agent_pause, AGENT, contract=PRESSED),
    Route("POST", CALL + "/resume", agent_resume, AGENT, contract=PRESSED),
    Route("POST", CALL + "/stop", agent_stop, AGENT, contract=PRESSED),
    Route(
        "PUT",
        CALL + "/recordings/{platform_recording_id}",
        push,
        roles("platform"),
        pool="push",
        streams=True,
        contract=PUSHED,
    ),
]
