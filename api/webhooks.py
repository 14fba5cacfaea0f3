"""What telephony platforms post: verified, parsed, made durable, answered, in this order.

An answer is given only after the commit of the events it answers. Where they cannot be taken, a waiting caller is
connected unrecorded, and everything else is refused with 503, to be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from aiohttp import web

from api.futures import settled
from api.metrics import METRICS
from api.pools import run
from api.routing import SERVICE, Contract, Route
from recorder.calls import intake
from recorder.events import Event
from recorder.platforms import canonical, twilio
from recorder.ports import Service, WebhookRequest
from recorder.voice import Answer, after_key, connect, spoken_codes, welcome
from storage.errors import InboxFullError, StorageError

CALLER_SECONDS = 3.0  # a caller hears nothing while we think; Twilio itself would wait for 15
EVENT_SECONDS = 10.0  # platforms give up after 15 to 30 and send again

FORM = {"application/x-www-form-urlencoded": {"type": "object"}}  # Twilio's own, which changes without notice
ANSWERED = Contract(takes=FORM, gives={200: "application/xml"})
NOTED = Contract(takes=FORM, gives={204: None})
CANONICAL = Contract(
    takes={"application/json": canonical.schema()}, headers=("webhook-id", "webhook-timestamp"), gives={204: None}
)

log = structlog.get_logger(__name__)


def routes(_service: Service) -> list[Route]:
    return [
        Route("POST", "/webhooks/twilio/voice", voice, "signature", pool="webhook", contract=ANSWERED),
        Route("POST", "/webhooks/twilio/consent", consent, "signature", pool="webhook", contract=ANSWERED),
        Route("POST", "/webhooks/twilio/recording", recording, "signature", pool="webhook", contract=NOTED),
        Route("POST", "/webhooks/twilio/status", status, "signature", pool="webhook", contract=NOTED),
        Route("POST", spoken_codes.PATH, code, "signature", pool="webhook"),
        Route("POST", "/webhooks/events", events, "signature", pool="webhook", contract=CANONICAL),
    ]


async def voice(request: web.Request) -> web.Response:
    """Twilio asks what to do with a new call."""
    return await _steered(request, welcome)


async def consent(request: web.Request) -> web.Response:
    """Twilio says which key was pressed, if any, and asks how to go on."""
    return await _steered(request, after_key)


async def recording(request: web.Request) -> web.Response:
    """Twilio tells how a recording goes."""
    return await _noted(request, "twilio")


async def status(request: web.Request) -> web.Response:
    """Twilio tells how a call goes."""
    return await _noted(request, "twilio")


async def code(request: web.Request) -> web.Response:
    """Twilio says which key was pressed by the customer we called to read out their code."""
    service, now = _at(request)
    received = await signed(request, "twilio")
    key = twilio.key_pressed(received)
    return _twiml(await run(request, spoken_codes.answer, service, received.query, key, now))


async def events(request: web.Request) -> web.Response:
    """Any exchange: one canonical event, signed by Standard Webhooks."""
    return await _noted(request, "standard")


async def _steered(request: web.Request, decide: Callable[[Service, Event, datetime], Answer]) -> web.Response:
    """Answer with what the waiting caller hears next; where its events cannot be kept, connect them unrecorded."""
    service, now = _at(request)
    (event,) = await _received(request, service, "twilio", now)
    try:
        async with asyncio.timeout(CALLER_SECONDS):
            answer = await run(request, decide, service, event, now)
            await _accept(service, answer.events, now)
    except (StorageError, TimeoutError) as exc:
        return _unrecorded(request, event, exc)
    return _twiml(answer.twiml)


async def _noted(request: web.Request, platform: str) -> web.Response:
    service, now = _at(request)
    found = await _received(request, service, platform, now)
    try:
        async with asyncio.timeout(EVENT_SECONDS):
            await _accept(service, found, now)
    except TimeoutError as exc:
        raise InboxFullError from exc
    except StorageError as exc:
        if exc.retryable:
            raise
        raise InboxFullError from exc  # to the platform it is the same: not taken, send it again
    return web.Response(status=204)


async def _received(request: web.Request, service: Service, platform: str, now: datetime) -> list[Event]:
    """The request's events, once its signature has been checked."""
    received = await signed(request, platform)
    return service.platforms[platform].parse(received, now)


async def signed(request: web.Request, platform: str) -> WebhookRequest:
    """The request as it came in, its signature checked over those very bytes. Raises `SignatureError`."""
    service, now = _at(request)
    received = WebhookRequest(
        url=service.settings.http.public_url + request.raw_path,
        path=request.path.rpartition("/")[2],
        query=request.query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.read(),
    )
    service.platforms[platform].verify(received, now)
    return received


async def _accept(service: Service, found: Sequence[Event], now: datetime) -> None:
    """Return when every event is durable; a duplicate already is. Raises `StorageError`.

    Giving up waiting withdraws nothing: the inbox finishes what it was given.
    """
    new = await settled([intake.submit(service, event, now) for event in found])
    if any(new):
        service.wake("apply")


def _at(request: web.Request) -> tuple[Service, datetime]:
    service = request.app[SERVICE]
    return service, service.clock()


def _unrecorded(request: web.Request, event: Event, cause: Exception) -> web.Response:
    request.app[METRICS].connected_unrecorded()
    log.error("webhooks.connected_unrecorded", cause=type(cause).__name__)
    return _twiml(connect(request.app[SERVICE], event))


def _twiml(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/xml")
