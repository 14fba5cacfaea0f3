"""Choosing what a request is approved for, over as many pages as it takes.

Every button on a page of recordings sends the page's ticks along, and they are saved before anything else is done:
no way from page to page loses them. What is ticked on all pages is approved. Where that is more than the page in front
of them shows, people are told how much it is and confirm it; if it has changed since, they are asked again.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web

from api import inputs
from api.console.subject_requests import DPO, ONE, done, page, wished
from api.pages import render
from api.pools import run
from api.routing import SERVICE, Route
from recorder import subject_requests
from recorder.subject_requests import matching
from recorder.subject_requests.course import DELETING, DISCLOSING
from storage.catalogue.requests import Listed, Request


class Sent(NamedTuple):
    """What a page of recordings sends: the recordings it shows, those that are ticked, and its fields by name."""

    shown: set[str]
    ticked: set[str]
    words: dict[str, str]


async def choose(request: web.Request) -> web.Response:
    """Save the ticks of a page, or set those of all pages at once, and go where the button leads."""
    sent = await _sent(request)
    service, request_id = request.app[SERVICE], request.match_info["id"]
    if (every := sent.words.get("all")) in ("proposed", "none"):
        _, listed = await run(request, wished, service, request_id)
        sure = {one.match.recording_id for one in listed if one.match.doubt not in matching.UNTICKING}
        sent = Sent({one.match.recording_id for one in listed}, sure if every == "proposed" else set(), {})
    await run(request, subject_requests.choose, service, request_id, sent.shown, sent.ticked)
    onward = request.rel_url.with_path(f"/console/requests/{request_id}", keep_query=True)
    return web.Response(status=303, headers={"Location": str(onward)})


async def approve(request: web.Request) -> web.Response:
    """Approve what is chosen on all pages, and say how we know who asks; what this page hides is confirmed first."""
    sent = await _sent(request)
    service, request_id = request.app[SERVICE], request.match_info["id"]
    await run(request, subject_requests.choose, service, request_id, sent.shown, sent.ticked)
    wish, listed = await run(request, wished, service, request_id)
    chosen = {one.match.recording_id for one in listed if one.match.ticked and one.there}
    method = sent.words.get("identity", "")
    if not chosen or method not in subject_requests.IDENTITY_METHODS:
        return await page(request, fault="none_chosen", status=400)
    if chosen - sent.shown and sent.words.get("counted") != _mark(chosen):
        return _count(request, wish, listed, chosen, method, changed="counted" in sent.words)
    return await done(request, subject_requests.approve, chosen, method)


async def _sent(request: web.Request) -> Sent:
    fields = await inputs.pairs(request)
    words = dict(fields)
    ticked = {value for name, value in fields if name == "recording"}
    return Sent(ticked | set(words.get("shown", "").split()), ticked, words)


def _count(
    request: web.Request, wish: Request, listed: list[Listed], chosen: Collection[str], method: str, *, changed: bool
) -> web.Response:
    return render(
        request,
        "console/approve.html",
        wish=wish,
        chosen=len(chosen),
        total=len(listed),
        method=method,
        counted=_mark(chosen),
        changed=changed,
        act="give" if wish.kind in DISCLOSING else "delete" if wish.kind in DELETING else "approve",
    )


def _mark(chosen: Collection[str]) -> str:
    """A digest of the choice: the same for the same recordings."""
    return sha256(" ".join(sorted(chosen)).encode()).hexdigest()


ROUTES = [
    Route("POST", ONE + "/choose", choose, DPO),
    Route("POST", ONE + "/approve", approve, DPO),
]
