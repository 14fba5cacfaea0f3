"""JSON answers, and acts done once under a client's `Idempotency-Key`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web
from pydantic_core import to_json

from api import schemas
from api.auth import now
from api.pools import run
from api.routing import ACTOR, SERVICE
from recorder import once
from recorder.errors import InvalidInputError
from recorder.once import Act
from storage.columns import place

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")
_EARLIER = web.RequestKey("earlier", bool)


def given(request: web.Request, what: schemas.Given | Mapping[str, object], status: int = 200) -> web.Response:
    """The answer `what`, marked as a replay where the act was done by an earlier request."""
    headers = {REPLAYED: "true"} if request.get(_EARLIER) else None
    return web.Response(body=to_json(what), status=status, content_type="application/json", headers=headers)


def nothing(request: web.Request) -> web.Response:
    """204, marked in the same way."""
    return web.Response(status=204, headers={REPLAYED: "true"} if request.get(_EARLIER) else None)


async def done_once(request: web.Request, act: Act) -> str:
    """Let `act` happen once for the request's key, if it has one; gives the id of what was done.

    Raises what the act raises, `KeyReusedError` and `KeyInUseError`.
    """
    asked = place(request.method, request.raw_path) + await request.read()
    subject_id, earlier = await run(
        request, once.do, request.app[SERVICE], request[ACTOR], _key(request), asked, act, now(request)
    )
    request[_EARLIER] = earlier
    return subject_id


def _key(request: web.Request) -> str | None:
    """The key of the header, which the draft writes in quotes and most clients do not."""
    sent = request.headers.getall(KEY, [])
    if not sent:
        return None
    key = sent[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(sent) > 1 or not _KEY.fullmatch(key):
        raise InvalidInputError(f"{KEY} must be 1 to 255 visible ASCII characters")
    return key
