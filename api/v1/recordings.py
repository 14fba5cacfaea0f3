"""Recordings over JSON: find, look, listen, delete, hold."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from api import inputs, listening, shapes
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE, Route, roles
from recorder import erasure, finding, holds
from recorder.errors import InvalidInputError
from recorder.finding import FoundPage, Query
from recorder.ports import Service
from storage.catalogue import recordings

ERASE_SECONDS = 10.0
REASON = re.compile(r"[a-z][a-z0-9_]{1,39}")
FIELDS = ("phone", "account", "agent", "queue", "case", "segment", "state", "from", "to", "cursor")
IN_URLS = ("state", "segment", "agent", "queue", "from", "to", "cursor")


async def search_recordings(request: web.Request) -> web.Response:
    """Find recordings; numbers and accounts stand in the body, never in an address."""
    return await _found(request, await inputs.document(request), FIELDS)


async def list_recordings(request: web.Request) -> web.Response:
    """List recordings by what may stand in an address."""
    return await _found(request, request.query, IN_URLS)


async def get_recording(request: web.Request) -> web.Response:
    """One recording's metadata, with the evidence of its consent."""
    found = await run(
        request, finding.look, request.app[SERVICE], request.match_info["id"], actor=request[ACTOR], now=now(request)
    )
    return web.json_response(shapes.recording(found))


async def get_audio(request: web.Request) -> web.StreamResponse:
    """The audio, for a purpose the customer consented to; takes `Range`."""
    return await listening.answer(
        request,
        request.match_info["id"],
        purpose=inputs.needed(request.query, "purpose"),
        rendition=inputs.text(request.query, "rendition"),
    )


async def delete_recording(request: web.Request) -> web.Response:
    """Erase now: the certificate, or 202 where the last bytes are not yet verified gone."""
    body = await inputs.document(request, optional=True)
    inputs.known(body, ("reason", "text"))
    inputs.text(body, "text")  # may be said, is not kept: free words would outlive the person they name
    certificate = await erase(request, request.match_info["id"], reason(body))
    if certificate is not None:
        return web.json_response(certificate)
    certificate_id = await run(request, _certificate_id, request.app[SERVICE], request.match_info["id"])
    return web.json_response({"state": "erasing", "certificate_id": certificate_id}, status=202)


async def get_certificate(request: web.Request) -> web.Response:
    """The certificate of an erasure, by its own id or the recording's."""
    return web.json_response(await run(request, erasure.certificate, request.app[SERVICE], request.match_info["id"]))


async def place_hold(request: web.Request) -> web.Response:
    """Keep a recording past its day, until a review date."""
    body = await inputs.document(request)
    inputs.known(body, ("kind", "reason", "review_at"))
    hold = await run(
        request,
        holds.place,
        request.app[SERVICE],
        request.match_info["id"],
        inputs.one_of(body, "kind", ("legal", "dispute", "restriction", "access")),
        inputs.needed(body, "reason", longest=100),
        request[ACTOR],
        now(request),
        review_at=inputs.moment(body, "review_at"),
    )
    return web.json_response(shapes.hold(hold), status=201)


async def release_hold(request: web.Request) -> web.Response:
    """End a hold; what is due meanwhile is erased."""
    await run(request, holds.release, request.app[SERVICE], request.match_info["id"], request[ACTOR], now(request))
    return web.Response(status=204)


def reason(fields: Mapping[str, Any]) -> str:
    code = inputs.needed(fields, "reason")
    if not REASON.fullmatch(code) or code == "expired":
        raise InvalidInputError("reason must be a code of lower-case letters, and not 'expired'")
    return code


async def erase(request: web.Request, recording_id: str, code: str) -> dict[str, Any] | None:
    """Order an erasure and wait at most 10 s for its certificate; what was begun goes on by itself.

    None while it is not verified.
    """
    service, actor = request.app[SERVICE], request[ACTOR]
    ordered = run(request, erasure.erase, service, recording_id, reason=code, actor=actor, now=now(request))
    work = asyncio.ensure_future(ordered)
    done, _pending = await asyncio.wait({work}, timeout=ERASE_SECONDS)
    certificate = work.result() if done else None
    if certificate is None:
        work.add_done_callback(_noted)
        service.wake("erase")
        return None
    return certificate.as_json()


def _noted(work: asyncio.Future[Any]) -> None:
    """What fails after we have answered is taken up by the job that finishes erasures."""
    if not work.cancelled() and work.exception() is not None:
        log.warning("erasure.left_to_the_job")


async def _found(request: web.Request, fields: Mapping[str, Any], names: tuple[str, ...]) -> web.Response:
    inputs.known(fields, names)
    page: FoundPage = await run(
        request,
        finding.search,
        request.app[SERVICE],
        query(fields),
        actor=request[ACTOR],
        now=now(request),
        cursor=inputs.text(fields, "cursor"),
    )
    return web.json_response({"items": [shapes.recording(one) for one in page.items], "next": page.next})


def query(fields: Mapping[str, Any]) -> Query:
    """The search that the fields ask for."""
    words = {name: inputs.text(fields, name) for name in FIELDS[:7]}
    return Query(**words, started_from=inputs.moment(fields, "from"), started_to=inputs.moment(fields, "to", end=True))


def _certificate_id(service: Service, recording_id: str) -> str | None:
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
    return row.certificate_id if row else None


log = structlog.get_logger(__name__)

ONE = "/v1/recordings/{id}"
READERS = roles("dpo", "reviewer")
ROUTES = [
    Route("POST", "/v1/recordings/search", search_recordings, READERS),
    Route("GET", "/v1/recordings", list_recordings, READERS),
    Route("GET", ONE, get_recording, READERS),
    Route("GET", ONE + "/audio", get_audio, READERS, pool="audio"),
    Route("DELETE", ONE, delete_recording, roles("dpo")),
    Route("GET", "/v1/certificates/{id}", get_certificate, roles("dpo", "auditor")),
    Route("POST", ONE + "/holds", place_hold, roles("dpo")),
    Route("DELETE", "/v1/holds/{id}", release_hold, roles("dpo")),
]
