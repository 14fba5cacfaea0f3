"""An erasure ordered by one of the staff, over the API and in the console alike."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import web

from api.answers import done_once
from api.auth import now
from api.routing import ACTOR, SERVICE
from recorder import erasure
from recorder.once import Once

ERASE_SECONDS = 10.0

log = structlog.get_logger(__name__)


async def erase(request: web.Request, recording_id: str, reason: str) -> None:
    """Order an erasure and wait at most 10 s for its end; after that it goes on by itself."""
    service, actor, moment = request.app[SERVICE], request[ACTOR], now(request)

    def order(_once: Once) -> str:  # ordered twice, it is erased once
        erasure.erase(service, recording_id, reason=reason, actor=actor, now=moment)
        return recording_id

    work = asyncio.ensure_future(done_once(request, order))
    done, _pending = await asyncio.wait({work}, timeout=ERASE_SECONDS)
    if done:
        work.result()
    else:
        work.add_done_callback(_noted)
        service.wake("erase")


def _noted(work: asyncio.Future[Any]) -> None:
    """Log an erasure that failed after we answered; the job that finishes erasures takes it up."""
    if not work.cancelled() and work.exception() is not None:
        log.warning("erasure.left_to_the_job")
