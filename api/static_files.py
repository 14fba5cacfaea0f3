"""The few files pages need: read at the start, served from memory, cached for good under their fingerprint."""

from __future__ import annotations

import mimetypes
from importlib.resources import files

from aiohttp import web

from api.pages import fingerprint
from api.routing import Route
from recorder.ports import Service

FOREVER = "public, max-age=31536000, immutable"


def routes(service: Service) -> list[Route]:  # noqa: ARG001 -- every floor has the same door
    shelf = {
        item.name: (item.read_bytes(), mimetypes.guess_type(item.name)[0] or "application/octet-stream")
        for item in files("api").joinpath("static").iterdir()
        if item.is_file()
    }

    async def static(request: web.Request) -> web.Response:
        """A style sheet, script or picture."""
        name = request.match_info["name"]
        if name not in shelf:
            raise web.HTTPNotFound
        body, content_type = shelf[name]
        fixed = request.query.get("v") == fingerprint(name)
        charset = "utf-8" if content_type.startswith("text/") else None
        return web.Response(
            body=body,
            content_type=content_type,
            charset=charset,
            headers={"Cache-Control": FOREVER if fixed else "no-cache"},
        )

    return [
        Route("GET", "/static/{name}", static, "public"),
        Route("HEAD", "/static/{name}", static, "public"),
    ]
