"""What customers see once they are in: their recordings, to hear and save, and the way to take their yes back."""

from __future__ import annotations

from aiohttp import web

from api import auth, inputs, ranges, schemas
from api.access.visiting import HOME, LIST, ONE, cookie_of, dead, page_contract, show, streamed, to, visited
from api.auth import now
from api.pools import run
from api.routing import SERVICE, SESSION_ENDS, Contract, Route
from api.streams import send_encoded
from api.waves import paths
from api.words import language
from recorder import access_links, disclosure
from recorder.access_links import Visit
from recorder.deadlines import ZONE
from recorder.disclosure import Disclosed, mp3, withdrawing
from recorder.erasure import Choice
from recorder.errors import ChoiceNeededError, InvalidInputError, LinkError, RecordingNotFoundError

CHOICES: dict[str, Choice] = {"copy_first": "copy_first", "delete_now": "delete_now"}
ENDINGS = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/ogg": "ogg", "audio/flac": "flac"}


async def recordings(request: web.Request) -> web.Response:
    """Their recordings: player, copy, facts, who listened, and the way to take the yes back."""
    service, moment = request.app[SERVICE], now(request)
    cookie = cookie_of(request)
    if not cookie:
        return to(HOME, request)
    try:
        visit = await run(request, access_links.visit, service, cookie, moment)
    except LinkError:
        return dead(request)
    request[SESSION_ENDS] = await run(request, access_links.keep_open, service, visit, moment)
    page = await run(request, disclosure.page, service, visit, moment, request.query.get("at"))
    return show(
        request,
        "access/recordings.html",
        page=page,
        organisation=page.organisation,
        paths=paths,
        endings=ENDINGS,
        now=moment,
    )


@visited
async def stay(request: web.Request, visit: Visit) -> web.Response:
    """Stay logged in. Answers with the number of seconds that are left."""
    request[SESSION_ENDS] = await run(request, access_links.keep_open, request.app[SERVICE], visit, now(request))
    return web.Response(text=str(auth.session_seconds(request)))


@streamed
async def audio(request: web.Request, visit: Visit) -> web.StreamResponse:
    """What the player plays, in ranges."""
    heard = await run(
        request,
        disclosure.audio,
        request.app[SERVICE],
        visit,
        request.match_info["id"],
        "playback",
        now(request),
    )
    return await ranges.respond(request, heard.reader, heard.content_type, recheck=heard.recheck, etag=heard.etag)


@streamed
async def download(request: web.Request, visit: Visit) -> web.StreamResponse:
    """A copy as MP3, which everything plays."""
    service, recording_id, moment = request.app[SERVICE], request.match_info["id"], now(request)
    item = await run(request, disclosure.one, service, visit, recording_id, moment)
    heard = await run(request, disclosure.audio, service, visit, recording_id, "playback", moment, "downloaded")
    name = _file_name(request, item, "mp3")
    if heard.content_type != mp3.CONTENT_TYPE:
        return await send_encoded(request, mp3.encoded(heard.reader), mp3.CONTENT_TYPE, name, heard.recheck)
    return await ranges.respond(
        request, heard.reader, heard.content_type, filename=name, recheck=heard.recheck, etag=heard.etag
    )


@streamed
async def original(request: web.Request, visit: Visit) -> web.StreamResponse:
    """A copy of the very bytes that are kept."""
    service, recording_id, moment = request.app[SERVICE], request.match_info["id"], now(request)
    item = await run(request, disclosure.one, service, visit, recording_id, moment)
    heard = await run(request, disclosure.audio, service, visit, recording_id, "original", moment, "downloaded")
    name = _file_name(request, item, ENDINGS.get(heard.content_type, "bin"))
    return await ranges.respond(
        request, heard.reader, heard.content_type, filename=name, recheck=heard.recheck, etag=heard.etag
    )


@visited
async def ask_withdrawal(request: web.Request, visit: Visit) -> web.Response:
    """What taking the yes back means, and whether a copy comes first."""
    return await _ask(request, visit, status=200)


@visited
async def withdraw(request: web.Request, visit: Visit) -> web.Response:
    """Take the yes back. Without a choice, nothing is done and the question is asked."""
    service, recording_id, choice = request.app[SERVICE], request.match_info["id"], await _choice(request)
    item = await run(request, disclosure.one, service, visit, recording_id, now(request))
    try:
        done = await run(request, disclosure.withdraw, service, visit, recording_id, choice, now(request))
    except ChoiceNeededError:
        return await _ask(request, visit, status=409)
    more = await _goes_on(request)
    return show(request, "access/withdrawn.html", switch=None, item=item, done=done, choice=choice, more=more)


@visited
async def ask_withdrawal_of_all(request: web.Request, visit: Visit) -> web.Response:
    """What taking back the yes to every call means, and whether copies come first."""
    return await _ask_all(request, visit, status=200)


@visited
async def withdraw_all(request: web.Request, visit: Visit) -> web.Response:
    """Take back the yes to every call. Without a choice, nothing is done and the question is asked."""
    choice = await _choice(request)
    try:
        done = await run(request, withdrawing.withdraw_all, request.app[SERVICE], visit, choice, now(request))
    except ChoiceNeededError:
        return await _ask_all(request, visit, status=409)
    more = await _goes_on(request)
    return show(request, "access/withdrawn_all.html", switch=None, done=done, choice=choice, more=more)


async def _choice(request: web.Request) -> Choice | None:
    said = (await inputs.form(request)).get("choice")
    if said is not None and said not in CHOICES:
        raise InvalidInputError("choice must be one of " + ", ".join(CHOICES))
    return CHOICES[said] if said else None


async def _ask_all(request: web.Request, visit: Visit, *, status: int) -> web.Response:
    left = await run(request, withdrawing.left, request.app[SERVICE], visit, now(request))
    return show(request, "access/withdraw_all.html", status=status, left=left) if left.items else to(LIST)


async def _ask(request: web.Request, visit: Visit, *, status: int) -> web.Response:
    service, recording_id = request.app[SERVICE], request.match_info["id"]
    item = await run(request, disclosure.one, service, visit, recording_id, now(request))
    return show(request, "access/withdraw.html", status=status, item=item)


async def _goes_on(request: web.Request) -> bool:
    """Whether the visit can go on. The link ends with the last call; then the page shows no end of the session."""
    try:
        await run(request, access_links.visit, request.app[SERVICE], cookie_of(request), now(request))
    except LinkError:
        del request[SESSION_ENDS]
        return False
    return True


def _file_name(request: web.Request, item: Disclosed, ending: str) -> str:
    if item.recording is None:
        raise RecordingNotFoundError
    started = item.recording.call_started_at or item.recording.stored_at
    day = f"{started.astimezone(ZONE):%Y-%m-%d}" if started else item.id
    return f"{day}_{'samtale' if language(request) == 'da' else 'call'}.{ending}"


STAY = Contract(gives={200: "text/plain", 404: "text/html"})
COPY = Contract(gives={200: "audio/*", 206: "audio/*", 404: "text/html", 416: None}, refuses=("integrity", "too_many"))

ROUTES = [
    Route("GET", LIST, recordings, "session", contract=page_contract(303, 404)),
    Route("POST", "/access/stay", stay, "session", contract=STAY),
    Route("GET", LIST + "/withdraw", ask_withdrawal_of_all, "session", contract=page_contract(303, 404)),
    Route(
        "POST", LIST + "/withdraw", withdraw_all, "session", contract=page_contract(303, 404, 409, form=schemas.Choice)
    ),
    Route("GET", ONE + "/audio", audio, "session", pool="audio", contract=COPY),
    Route("GET", ONE + "/download", download, "session", pool="audio", contract=COPY),
    Route("GET", ONE + "/original", original, "session", pool="audio", contract=COPY),
    Route("GET", ONE + "/withdraw", ask_withdrawal, "session", contract=page_contract(404)),
    Route("POST", ONE + "/withdraw", withdraw, "session", contract=page_contract(404, 409, form=schemas.Choice)),
]
