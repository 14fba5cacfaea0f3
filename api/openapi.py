"""`/openapi.json`, read off the route table: what exists, who may call it, and how errors look."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from aiohttp import web

from api import schemas
from api.routing import Roles, Route

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


def routes(table: list[Route]) -> list[Route]:
    async def openapi(_request: web.Request) -> web.Response:
        """This document."""
        return web.json_response(document([*table, route]))

    route = Route("GET", "/openapi.json", openapi, "public")
    return [route]


def document(table: list[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of the JSON routes; pages are for people and stay out."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        if not route.path.startswith(("/console", "/access", "/static")) and route.method != "HEAD":
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "recorder", "version": "1", "description": "Call recordings, only after a yes, for 90 days."},
        "paths": paths,
        "components": {
            "schemas": schemas.COMPONENTS,
            "responses": {
                "Problem": {
                    "description": "RFC 9457; `code` is stable",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(route.path)
        ]
        + [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in schemas.QUERIES.get(route.handler.__name__, ())
        ],
        "responses": {
            str(status): {"description": HTTPStatus(status).phrase, **_content(schema)}
            for status, schema in schemas.ANSWERS.get(route.handler.__name__, {200: None}).items()
        }
        | {"default": {"$ref": "#/components/responses/Problem"}},
    }
    body = schemas.BODIES.get(route.handler.__name__)
    if body:
        operation["requestBody"] = {"required": True, **_content(body)}
    if isinstance(route.permission, Roles):
        operation["security"] = [{"token": []}]
        operation["x-roles"] = sorted(route.permission.names)
    elif route.permission == "signature":
        operation["x-signature"] = True
    return operation


def _content(schema: str | None) -> dict[str, Any]:
    if schema is None:
        return {}
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
