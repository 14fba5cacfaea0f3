"""Headers of every answer: nothing is framed, sniffed, referred or run from elsewhere, nor cached by default."""

from __future__ import annotations

from aiohttp import web

from api.routing import DRAINING, REQUEST_ID, SERVICE

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, noarchive, nosnippet",
    "Server": "recorder",
}
HSTS = "max-age=63072000"


async def add(request: web.Request, response: web.StreamResponse) -> None:
    """An aiohttp signal: runs for every answer, streams included, right before its head is sent."""
    put(request.app, request, response)


def put(app: web.Application, request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers. Called directly where a request never reaches the application: its answer sends no signal."""
    response.headers.update(ALWAYS)
    response.headers.setdefault("Cache-Control", "no-store")
    if REQUEST_ID in request:
        response.headers["X-Request-ID"] = request[REQUEST_ID]
    if app[SERVICE].settings.http.secure:
        response.headers["Strict-Transport-Security"] = HSTS
    if app[DRAINING].is_set():  # so that a client's next connection is made elsewhere
        response.headers["Connection"] = "close"
        response.force_close()
