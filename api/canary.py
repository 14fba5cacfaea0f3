"""What a test call needs from us: the beeps of both ends, and somebody to pick up at the answering end."""

from __future__ import annotations

from aiohttp import web

from api.pools import run
from api.routing import SERVICE, Route
from api.webhooks import signed
from recorder.audio import tones
from recorder.ports import Service
from recorder.voice import prompts


def routes(_service: Service) -> list[Route]:
    return [
        Route("POST", "/webhooks/twilio/canary", answer, "signature"),
        Route("GET", "/canary/{end}.wav", beeps, "public"),
    ]


async def answer(request: web.Request) -> web.Response:
    """Twilio asks what to do at the number that answers test calls: play the beeps."""
    await signed(request, "twilio")
    url = f"{request.app[SERVICE].settings.http.public_url}/canary/agent.wav"
    return web.Response(text=prompts.test_answer(url), content_type="application/xml")


async def beeps(request: web.Request) -> web.Response:
    """The beeps of one end, always the same for everybody."""
    match request.match_info["end"]:
        case "caller" | "agent" as end:
            sound = await run(request, tones.samples, end)
            return web.Response(
                body=tones.wav([sound]), content_type="audio/wav", headers={"Cache-Control": "public, max-age=86400"}
            )
    raise web.HTTPNotFound
