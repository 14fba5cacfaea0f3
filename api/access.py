"""The customer's way: the link from the mail, a code, their recordings. Works without JavaScript.

Following, posting or playing with a link uses nothing up, and a link that is unknown, run out, revoked or replaced
gets one and the same answer. All pages are forms and links; scripts only make them nicer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from aiohttp import web

from api import auth, inputs, ranges, schemas
from api.auth import now
from api.limits import limited
from api.pages import render
from api.pools import run
from api.routing import SERVICE, SESSION_ENDS, Contract, Route
from api.streams import send_encoded
from api.waves import paths
from api.words import ZONE, language
from recorder import access_links, disclosure, mp3
from recorder.access_links import Visit, Way
from recorder.disclosure import Disclosed
from recorder.erasure import Choice
from recorder.errors import ChoiceNeededError, InvalidInputError, LinkError, RecordingNotFoundError
from recorder.notices import readable_phone
from recorder.ports import Service
from recorder.settings import Organisation

COOKIE = "access"
HOME = "/access/"
LIST = "/access/recordings"
ONE = LIST + "/{id}"
CHOICES: dict[str, Choice] = {"copy_first": "copy_first", "delete_now": "delete_now"}
ENDINGS = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/ogg": "ogg", "audio/flac": "flac"}
LONGEST_LINK = 2000
TOKEN = re.compile(r"[A-Za-z0-9_-]{20,200}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Visited = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]


async def home(request: web.Request) -> web.Response:
    """To the landing page, whose address ends in a slash."""
    return _to(HOME, request)


async def landing(request: web.Request) -> web.Response:
    """The page the mail leads to: the same for all, since the token stays in the browser until it is posted."""
    return _page(request, "access/landing.html")


async def open_link(request: web.Request) -> web.Response:
    """Take the token, right or wrong, and offer to send a code."""
    limited(request)
    fields = await inputs.form(request)
    cookie = await run(
        request, access_links.open_link, request.app[SERVICE], _token(fields.get("token", "")), now(request)
    )
    response = _page(request, "access/start.html")
    auth.set_cookie(response, request.app[SERVICE], COOKIE, cookie)
    return response


async def start_again(request: web.Request) -> web.Response:
    """The page after the link was opened, for a changed language or a reload."""
    if not await _known(request):
        return _to(HOME, request)
    return _page(request, "access/start.html")


async def send_code(request: web.Request) -> web.Response:
    """Have a code sent to the number on file, or read aloud by a call to it."""
    by: Way = "call" if (await inputs.form(request)).get("by") == "call" else "sms"
    try:
        sent = await run(request, access_links.send_code, request.app[SERVICE], _cookie(request), now(request), by)
    except LinkError:
        return _dead(request)
    return _code_page(request, "" if sent else "later", rung=sent == "call", status=200 if sent else 429)


async def ask_code(request: web.Request) -> web.Response:
    """The field for the code, for a changed language or a reload."""
    if not await _known(request):
        return _to(HOME, request)
    return _code_page(request, "")


async def verify(request: web.Request) -> web.Response:
    """Try a code; the right one opens a new session."""
    service = request.app[SERVICE]
    digits = (await inputs.form(request)).get("code", "")[:40]
    try:
        tried = await run(request, access_links.verify_code, service, _cookie(request), digits, now(request))
    except LinkError:
        return _dead(request)
    if tried.token is not None:
        response = _to(LIST)
        auth.set_cookie(response, service, COOKIE, tried.token)
        return response
    if tried.outcome == "locked":
        response = _page(request, "access/locked.html", status=403)
        auth.drop_cookie(response, service, COOKIE)
        return response
    return _code_page(request, tried.outcome, left=tried.left, status=400)


async def leave(request: web.Request) -> web.Response:
    """End the session: for a computer that is shared."""
    service = request.app[SERVICE]
    await run(request, access_links.leave, service, _cookie(request), now(request))
    response = _to(HOME)
    auth.drop_cookie(response, service, COOKIE)
    return response


def visited(handler: Visited) -> Handler:
    """Admit who has shown link and code; everybody else gets the one answer for a link that does not work."""

    @wraps(handler)
    async def admitted(request: web.Request) -> web.StreamResponse:
        try:
            visit = await run(request, access_links.visit, request.app[SERVICE], _cookie(request), now(request))
        except LinkError:
            return _dead(request)
        request[SESSION_ENDS] = visit.ends_at
        return await handler(request, visit)

    return admitted


async def recordings(request: web.Request) -> web.Response:
    """Their recordings: player, copy, facts, who listened, and the way to take the yes back."""
    service, moment = request.app[SERVICE], now(request)
    cookie = _cookie(request)
    if not cookie:
        return _to(HOME, request)
    try:
        visit = await run(request, access_links.visit, service, cookie, moment)
    except LinkError:
        return _dead(request)
    request[SESSION_ENDS] = await run(request, access_links.keep_open, service, visit, moment)
    page = await run(request, disclosure.page, service, visit, moment, request.query.get("at"))
    return _page(
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
    """Stay logged in. Says for how many seconds."""
    request[SESSION_ENDS] = await run(request, access_links.keep_open, request.app[SERVICE], visit, now(request))
    return web.Response(text=str(auth.session_seconds(request)))


@visited
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


@visited
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


@visited
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
    service, recording_id = request.app[SERVICE], request.match_info["id"]
    said = (await inputs.form(request)).get("choice")
    if said is not None and said not in CHOICES:
        raise InvalidInputError("choice must be one of " + ", ".join(CHOICES))
    choice = CHOICES[said] if said else None
    item = await run(request, disclosure.one, service, visit, recording_id, now(request))
    try:
        done = await run(request, disclosure.withdraw, service, visit, recording_id, choice, now(request))
    except ChoiceNeededError:
        return await _ask(request, visit, status=409)
    more = await _still_lets_in(request)
    if not more:
        del request[SESSION_ENDS]
    return _page(request, "access/withdrawn.html", switch=None, item=item, done=done, choice=choice, more=more)


async def _ask(request: web.Request, visit: Visit, *, status: int) -> web.Response:
    service, recording_id = request.app[SERVICE], request.match_info["id"]
    item = await run(request, disclosure.one, service, visit, recording_id, now(request))
    return _page(request, "access/withdraw.html", status=status, item=item)


async def _still_lets_in(request: web.Request) -> bool:
    """Whether the visit goes on; with their last call, the link goes too."""
    try:
        await run(request, access_links.visit, request.app[SERVICE], _cookie(request), now(request))
    except LinkError:
        return False
    return True


async def _known(request: web.Request) -> bool:
    return await run(request, access_links.known, request.app[SERVICE], _cookie(request), now(request))


def _cookie(request: web.Request) -> str:
    return request.cookies.get(auth.cookie_name(request.app[SERVICE], COOKIE), "")


def _page(request: web.Request, template: str, *, status: int = 200, **words: Any) -> web.Response:
    organisation: Organisation = words.pop("organisation", request.app[SERVICE].settings.organisation)
    phone = readable_phone(organisation.phone)
    calls = request.app[SERVICE].caller is not None
    return render(request, template, status=status, organisation=organisation, phone=phone, calls=calls, **words)


def _code_page(
    request: web.Request, problem: str, *, left: int = 0, rung: bool = False, status: int = 200
) -> web.Response:
    return _page(request, "access/code.html", status=status, problem=problem, left=left, rung=rung)


def _dead(request: web.Request) -> web.Response:
    return _page(request, "access/dead.html", status=404)


def _token(text: str) -> str:
    """The token in what was posted or pasted: the link of the mail, or the token alone."""
    found = TOKEN.findall(text[:LONGEST_LINK].rpartition("#")[2])
    return str(found[-1]) if found else ""


def _to(path: str, request: web.Request | None = None) -> web.Response:
    """A redirect that keeps a wish for a language."""
    wish = f"?lang={language(request)}" if request is not None and "lang" in request.query else ""
    return web.Response(status=303, headers={"Location": path + wish})


def _file_name(request: web.Request, item: Disclosed, ending: str) -> str:
    if item.recording is None:
        raise RecordingNotFoundError
    started = item.recording.call_started_at or item.recording.stored_at
    day = f"{started.astimezone(ZONE):%Y-%m-%d}" if started else item.id
    return f"{day}_{'samtale' if language(request) == 'da' else 'call'}.{ending}"


def _page_contract(*others: int, form: type | None = None) -> Contract:
    """Of a page: what is posted to it, and what it may answer with besides itself."""
    takes = {"application/x-www-form-urlencoded": form} if form else {}
    gives = {status: None if status == 303 else "text/html" for status in (200, *others)}  # noqa: PLR2004 -- HTTP
    return Contract(takes=takes, optional=True, gives=gives)


OPENED = Contract(
    takes={"application/x-www-form-urlencoded": schemas.Token},
    optional=True,
    gives={200: "text/html"},
    refuses=("too_many", "invalid_input", "too_large"),
)
MOVED = Contract(gives={303: None})
FORM = _page_contract(303)
VERIFIED = Contract(
    takes={"application/x-www-form-urlencoded": schemas.Code},
    optional=True,
    gives={303: None, 400: "text/html", 403: "text/html", 404: "text/html"},
)
STAY = Contract(gives={200: "text/plain", 404: "text/html"})
COPY = Contract(gives={200: "audio/*", 206: "audio/*", 404: "text/html", 416: None}, refuses=("integrity",))


def routes(_service: Service) -> list[Route]:
    return [
        Route("GET", "/access", home, "public", contract=MOVED),
        Route("GET", HOME, landing, "public", contract=_page_contract()),
        Route("POST", "/access/open", open_link, "public", contract=OPENED),
        Route("GET", "/access/open", start_again, "session", contract=FORM),
        Route("POST", "/access/code", send_code, "session", contract=_page_contract(404, 429, form=schemas.Way)),
        Route("GET", "/access/code", ask_code, "session", contract=FORM),
        Route("POST", "/access/verify", verify, "session", contract=VERIFIED),
        Route("GET", "/access/verify", ask_code, "session", contract=FORM),
        Route("POST", "/access/leave", leave, "session", contract=MOVED),
        Route("POST", "/access/stay", stay, "session", contract=STAY),
        Route("GET", LIST, recordings, "session", contract=_page_contract(303, 404)),
        Route("GET", ONE + "/audio", audio, "session", pool="audio", contract=COPY),
        Route("GET", ONE + "/download", download, "session", pool="audio", contract=COPY),
        Route("GET", ONE + "/original", original, "session", pool="audio", contract=COPY),
        Route("GET", ONE + "/withdraw", ask_withdrawal, "session", contract=_page_contract(404)),
        Route("POST", ONE + "/withdraw", withdraw, "session", contract=_page_contract(404, 409, form=schemas.Choice)),
    ]
