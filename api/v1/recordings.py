"""Recordings over JSON: find, look, listen, delete, hold."""

from __future__ import annotations

from aiohttp import web

from api import inputs, listening, schemas, shapes
from api.answers import done_once, given, nothing
from api.auth import now
from api.orders import erase
from api.pools import run
from api.routing import ACTOR, SERVICE, Contract, Route, roles
from recorder import erasure, finding, holds
from recorder.errors import ErasingError, NotFoundError, RecordingNotFoundError
from recorder.once import Once
from recorder.ports import Service
from storage.catalogue import holds as hold_rows
from storage.catalogue import recordings
from storage.catalogue.holds import Hold


async def search_recordings(request: web.Request) -> web.Response:
    """Find recordings; numbers and accounts stand in the body, never in an address."""
    return await _found(request, await inputs.body(request, schemas.Search))


async def list_recordings(request: web.Request) -> web.Response:
    """List recordings by fields that may stand in an address."""
    return await _found(request, inputs.query(request, schemas.Listing))


async def get_recording(request: web.Request) -> web.Response:
    """One recording's metadata, with the evidence of its consent."""
    found = await run(
        request, finding.look, request.app[SERVICE], request.match_info["id"], actor=request[ACTOR], now=now(request)
    )
    return given(request, shapes.recording(found))


async def get_audio(request: web.Request) -> web.StreamResponse:
    """The audio, for a purpose the customer consented to; takes `Range`."""
    wanted = inputs.query(request, schemas.Hearing)
    return await listening.answer(request, request.match_info["id"], purpose=wanted.purpose, rendition=wanted.rendition)


async def delete_recording(request: web.Request) -> web.Response:
    """Erase now: the certificate, or 202 where the last bytes are not yet verified gone."""
    order = await inputs.body(request, schemas.Erasure)
    recording_id = request.match_info["id"]
    await erase(request, recording_id, order.reason)
    outcome = await run(request, _outcome, request.app[SERVICE], recording_id)
    return given(request, outcome, 202 if isinstance(outcome, schemas.Erasing) else 200)


async def get_certificate(request: web.Request) -> web.Response:
    """The certificate of an erasure, by its own id or the recording's."""
    return given(request, await run(request, erasure.certificate, request.app[SERVICE], request.match_info["id"]))


async def place_hold(request: web.Request) -> web.Response:
    """Keep a recording past its day, until a review date."""
    wish = await inputs.body(request, schemas.NewHold)
    service, actor, moment, recording_id = request.app[SERVICE], request[ACTOR], now(request), request.match_info["id"]

    def place(once: Once) -> str:
        return holds.place(
            service, recording_id, wish.kind, wish.reason, actor, moment, review_at=wish.review_at, once=once
        ).id

    return given(request, shapes.hold(await run(request, _hold, service, await done_once(request, place))), 201)


async def release_hold(request: web.Request) -> web.Response:
    """End a hold; what became due meanwhile is erased."""
    service, actor, moment, hold_id = request.app[SERVICE], request[ACTOR], now(request), request.match_info["id"]

    def release(once: Once) -> str:
        holds.release(service, hold_id, actor, moment, once=once)
        return hold_id

    await done_once(request, release)
    return nothing(request)


async def _found(request: web.Request, wanted: schemas.Listing) -> web.Response:
    page = await run(
        request,
        finding.search,
        request.app[SERVICE],
        wanted.query(),
        actor=request[ACTOR],
        now=now(request),
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    return given(request, shapes.recordings(page))


def _outcome(service: Service, recording_id: str) -> dict[str, object] | schemas.Erasing:
    try:
        return erasure.certificate(service, recording_id)
    except (ErasingError, RecordingNotFoundError):  # what was never stored leaves no certificate
        with service.database.read() as connection:
            row = recordings.get(connection, recording_id)
        return schemas.Erasing(certificate_id=row.certificate_id if row else None)


def _hold(service: Service, hold_id: str) -> Hold:
    with service.database.read() as connection:
        hold = hold_rows.get(connection, hold_id)
    if hold is None:
        raise NotFoundError("the hold is gone with its recording")
    return hold


ONE = "/v1/recordings/{id}"
READERS, DPO = roles("dpo", "reviewer"), roles("dpo")
ROUTES = [
    Route(
        "POST",
        "/v1/recordings/search",
        search_recordings,
        READERS,
        contract=Contract(
            takes={"application/json": schemas.Search}, gives={200: schemas.Recordings}, refuses=("cursor_invalid",)
        ),
    ),
    Route(
        "GET",
        "/v1/recordings",
        list_recordings,
        READERS,
        contract=Contract(query=schemas.Listing, gives={200: schemas.Recordings}, refuses=("cursor_invalid",)),
    ),
    Route(
        "GET",
        ONE,
        get_recording,
        READERS,
        contract=Contract(gives={200: schemas.Recording}, refuses=("recording_not_found",)),
    ),
    Route(
        "GET",
        ONE + "/audio",
        get_audio,
        READERS,
        pool="audio",
        contract=Contract(
            query=schemas.Hearing,
            gives={200: "audio/*", 206: "audio/*", 416: None},
            refuses=("recording_not_found", "object_not_found", "key_destroyed", "integrity"),
        ),
    ),
    Route(
        "DELETE",
        ONE,
        delete_recording,
        DPO,
        contract=Contract(
            takes={"application/json": schemas.Erasure},
            gives={200: schemas.Certificate, 202: schemas.Erasing},
            refuses=("recording_not_found", "held", "erasing"),
            once=True,
        ),
    ),
    Route(
        "GET",
        "/v1/certificates/{id}",
        get_certificate,
        roles("dpo", "auditor"),
        contract=Contract(gives={200: schemas.Certificate}, refuses=("recording_not_found", "erasing")),
    ),
    Route(
        "POST",
        ONE + "/holds",
        place_hold,
        DPO,
        contract=Contract(
            takes={"application/json": schemas.NewHold},
            gives={201: schemas.Hold},
            refuses=("recording_not_found", "not_found", "erasing", "conflict"),
            once=True,
        ),
    ),
    Route(
        "DELETE",
        "/v1/holds/{id}",
        release_hold,
        DPO,
        contract=Contract(
            gives={204: None}, refuses=("not_found", "recording_not_found", "erasing", "conflict"), once=True
        ),
    ),
]
