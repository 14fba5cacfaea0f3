"""Whether the process lives, whether it can do its work, and its figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from aiohttp import web
from sqlalchemy import text

from api import metrics, schemas
from api.pools import run
from api.routing import DRAINING, SERVICE, Contract, Route, roles
from recorder.ports import Service
from recorder.settings import Http
from storage.errors import RecorderError

CHECK_SECONDS = 5.0
ALIVE = Contract(gives={200: schemas.Alive})
READY = Contract(gives={200: schemas.Ready, 503: schemas.Ready})
FIGURES = Contract(gives={200: "text/plain"})


def routes(service: Service) -> list[Route]:  # noqa: ARG001 -- every floor has the same door
    return [
        Route("GET", "/healthz", healthz, "public", contract=ALIVE),
        Route("HEAD", "/healthz", healthz, "public", contract=Contract(gives={200: None})),
        Route("GET", "/readyz", readyz, "public", pool="webhook", contract=READY),  # it fails if those are all taken
        Route("GET", "/metrics", exposition, roles("operator"), contract=FIGURES),
    ]


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001 -- a handler's signature
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Database and key ring answer: 200, else 503 naming which does not. Draining: 503.

    The object store is not asked: calls and webhooks go on without it, and all replicas share the same one.
    """
    if request.app[DRAINING].is_set():
        return web.json_response({"status": "draining", "checks": {}}, status=503)
    service = request.app[SERVICE]
    results = await asyncio.gather(*(_passes(request, check, service) for check in CHECKS.values()))
    checks = {name: "ok" if passed else "failed" for name, passed in zip(CHECKS, results, strict=True)}
    ready = all(results)
    return web.json_response(
        {"status": "ready" if ready else "not_ready", "checks": checks}, status=200 if ready else 503
    )


async def exposition(request: web.Request) -> web.Response:
    """Prometheus figures."""
    body = await run(request, request.app[metrics.METRICS].text)
    return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})


async def _passes(request: web.Request, check: Callable[[Service], None], service: Service) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await run(request, check, service)
    except (RecorderError, TimeoutError, OSError):
        return False
    return True


def ask(http: Http, path: str) -> str:
    """The status that a server with these settings on this machine answers; `unreachable` where it answers none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)  # noqa: S104 -- what listens everywhere, listens here
    connection = HTTPConnection(host, http.port, timeout=CHECK_SECONDS)
    try:
        connection.request("GET", path)
        return str(json.loads(connection.getresponse().read())["status"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return "unreachable"
    finally:
        connection.close()


def _database(service: Service) -> None:
    with service.database.read() as connection:
        connection.execute(text("SELECT 1"))


def _keys(service: Service) -> None:
    service.keyring.inbox_key(service.clock())


CHECKS: dict[str, Callable[[Service], None]] = {"database": _database, "keys": _keys}
