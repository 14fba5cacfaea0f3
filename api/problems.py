"""Error codes as HTTP: the one place that knows statuses. Machines get RFC 9457, people a page in their language."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from api import pages
from api.routing import CODE, REQUEST_ID, ROUTE, Roles
from storage.errors import RecorderError

STATUS: dict[str, int] = {
    "internal": 500,
    "configuration": 500,
    "key_ring_missing": 500,
    "unsafe": 500,
    "invalid_input": 400,
    "invalid_event": 400,
    "cursor_invalid": 400,
    "unauthenticated": 401,
    "signature": 401,
    "refused": 403,
    "forbidden": 403,
    "cross_site": 403,
    "not_found": 404,
    "recording_not_found": 404,
    "request_not_found": 404,
    "call_not_found": 404,
    "link_invalid": 404,
    "object_not_found": 404,
    "key_destroyed": 404,  # to a reader, what nobody can open is not there
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "consent_pending": 409,
    "consent_missing": 409,
    "held": 409,
    "erasing": 409,
    "choice_needed": 409,
    "lease_lost": 409,
    "idempotency_in_use": 409,
    "sweep_brake": 409,
    "too_large": 413,
    "audio_unsupported": 415,
    "expectation_failed": 417,
    "idempotency_reused": 422,
    "audio_invalid": 422,
    "audio_empty": 422,
    "audio_truncated": 422,
    "audio_too_long": 422,
    "audio_timeout": 422,
    "audio_not_ready": 422,  # a pushed body that is no audio; of a fetched one it means "not there yet"
    "too_many": 429,
    "storage": 500,
    "integrity": 500,
    "platform": 502,
    "platform_unreachable": 502,
    "media_refused": 502,
    "media_too_large": 502,
    "delivery": 503,
    "delivery_unknown": 503,
    "delivery_refused": 503,
    "directory_unavailable": 503,
    "store_unavailable": 503,
    "store_full": 503,
    "store_refused": 503,
    "store_clock": 503,
    "database_unavailable": 503,
    "database_busy": 503,
    "database_full": 503,
    "inbox_full": 503,
    "key_unavailable": 503,
}
RETRY_AFTER_SECONDS = 5
AGAIN = frozenset([HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE])

# Where a page that failed sends people on to, by the part of the site they are in.
HOMES = {"/console": "/console/", "/access": "/access/recordings"}

# Our codes for the statuses that aiohttp itself raises.
CODES = {
    400: "invalid_input",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    417: "expectation_failed",
}


def of_error(request: web.Request, error: RecorderError) -> web.Response:
    """The answer to an error we raised on purpose."""
    response = answer(request, STATUS[error.code], error.code, str(error), error.hint)
    if error.retryable and response.status in AGAIN:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if response.status == HTTPStatus.UNAUTHORIZED and _takes_a_token(request):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _takes_a_token(request: web.Request) -> bool:
    route = request.get(ROUTE)
    return route is not None and isinstance(route.permission, Roles) and route.permission.by == "token"


def of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    """The answer to an error of the web server's own: unknown route, wrong method, body too large."""
    response = of_status(request, error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def of_status(request: web.Request, status: int) -> web.Response:
    """The same where nothing but the status is known."""
    code = CODES.get(status, "internal" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused")
    return answer(request, status, code, HTTPStatus(status).phrase.lower())


def answer(request: web.Request, status: int, code: str, message: str, hint: str | None = None) -> web.Response:
    request_id = request.get(REQUEST_ID, "")
    request[CODE] = code
    if for_people(request):
        home = next((page for room, page in HOMES.items() if request.path.startswith(room)), None)
        return pages.render(
            request, "error.html", status=status, code=code, request_id=request_id, http_status=status, home=home
        )
    body = {
        "type": f"urn:recorder:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": message,
        "request_id": request_id,
    }
    if hint:
        body["hint"] = hint
    return web.json_response(body, status=status, content_type="application/problem+json")


def for_people(request: web.Request) -> bool:
    """Whether a person is looking: pages, or a browser that has lost its way."""
    if request.path.startswith(("/console", "/access")):
        return True
    return not request.path.startswith(("/v1/", "/webhooks/")) and "text/html" in request.headers.get("Accept", "")
