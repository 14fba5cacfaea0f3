"""Whether the process lives, whether it can do its work, and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from sqlalchemy import text

from api import metrics
from api.pools import run
from api.routing import SERVICE, Route, roles
from recorder.ports import Service
from storage.errors import RecorderError

CHECK_SECONDS = 5.0


def routes(service: Service) -> list[Route]:  # noqa: ARG001 -- every floor has the same door
    return [
        Route("GET", "/healthz", healthz, "public"),
        Route("HEAD", "/healthz", healthz, "public"),
        Route("GET", "/readyz", readyz, "public"),
        Route("GET", "/metrics", exposition, roles("operator")),
    ]


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001 -- a handler's signature
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Database, key ring and object store answer: 200, else 503 naming which does not."""
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


def _database(service: Service) -> None:
    with service.database.read() as connection:
        connection.execute(text("SELECT 1"))


def _keys(service: Service) -> None:
    service.keyring.inbox_key(service.clock())


def _store(service: Service) -> None:
    service.vault.objects.remaining("readyz/none")


CHECKS: dict[str, Callable[[Service], None]] = {"database": _database, "keys": _keys, "store": _store}
