"""`/openapi.json`: OpenAPI 3.1, made from the route table, the types handlers read and write by, and the errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from http import HTTPStatus

from aiohttp import web

from api import schemas
from api.answers import KEY, REPLAYED
from api.fields import ID
from api.openapi import refusals
from api.openapi.outgoing import OUTGOING, outgoing
from api.openapi.parts import JSON, TEXT, Json, Parts, header, headers, shapes
from api.problems import STATUS
from api.routing import Contract, Roles, Route

_PARAMETER = re.compile(r"\{([a-z_]+)\}")

PATH_PARAMETERS: dict[str, Json] = {
    "id": TEXT | {"pattern": ID},
    "platform_call_id": TEXT | {"minLength": 1, "maxLength": 200},
    "platform_recording_id": TEXT | {"minLength": 1, "maxLength": 200},
}
HEADERS: dict[str, tuple[str, Json]] = {
    "Range": ("one range of bytes (RFC 9110); several at once are answered with the whole", TEXT),
    "If-Range": ("the `ETag` of what was read before", TEXT),
    KEY: (
        "makes the act happen once, however often it is asked for in 24 hours: 1 to 255 visible ASCII characters",
        TEXT | {"pattern": '^("[!-~]{1,255}"|[!#-~][!-~]{0,254})$'},
    ),
    "webhook-id": ("unique per event; what makes a repetition one", TEXT | {"pattern": "^[!-~]{1,256}$"}),
    "webhook-timestamp": ("seconds since 1970, at most five minutes off", TEXT | {"pattern": "^[0-9]{1,11}$"}),
}
ANSWER_HEADERS: dict[int, tuple[str, ...]] = {
    200: ("Accept-Ranges", "ETag"),
    206: ("Accept-Ranges", "ETag", "Content-Range"),
    416: ("Content-Range",),
}


def routes(table: list[Route]) -> list[Route]:
    @cache
    def made() -> bytes:
        return json.dumps(document([*table, route]), ensure_ascii=False).encode()

    async def openapi(_request: web.Request) -> web.Response:
        """This document."""
        return web.Response(body=made(), content_type=JSON)

    route = Route("GET", "/openapi.json", openapi, "public", contract=Contract(gives={200: {"type": "object"}}))
    return [route]


def document(table: Iterable[Route]) -> Json:
    """The document of every route that has a contract; the console is for people and has none."""
    described = [(route, route.contract) for route in table if route.contract is not None]
    told = [data for _, data in OUTGOING.values()]
    parts = Parts([shape for _, one in described for shape in shapes(one)] + [schemas.Problem, *told])
    paths: dict[str, Json] = {}
    names: set[str] = set()
    for route, contract in described:
        operation = _operation(route, contract, parts)
        if operation["operationId"] in names:  # one handler, two addresses
            operation["operationId"] += "_" + route.path.rpartition("/")[2]
        names.add(operation["operationId"])
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "recorder",
            "version": "1",
            "description": "Call recordings, only after a yes, for 90 days. The guide is docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "webhooks": {name: outgoing(name, *words, parts) for name, words in OUTGOING.items()},
        "components": {
            "schemas": parts.components,
            "examples": {code: {"value": example} for code, example in sorted(refusals.examples().items())},
            "headers": {
                "X-Request-ID": header("names this request in our log"),
                "Retry-After": header("seconds to wait before asking again", {"type": "integer"}),
                "WWW-Authenticate": header("`Bearer`"),
                REPLAYED: header("the act was done before, under the same key", {"const": "true"}),
                "Accept-Ranges": header("`bytes`", {"const": "bytes"}),
                "Content-Range": header("what part of how much this is"),
                "ETag": header("for `If-Range`"),
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`recorder token create`"},
                "twilio": {"type": "apiKey", "in": "header", "name": "X-Twilio-Signature"},
                "standardWebhooks": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
            },
        },
    }


def _operation(route: Route, contract: Contract, parts: Parts) -> Json:
    words = " ".join((route.handler.__doc__ or "").split())
    operation: Json = {
        "operationId": route.handler.__name__ + ("_head" if route.method == "HEAD" else ""),
        "summary": words.partition(". ")[0].rstrip("."),
        "tags": [_tag(route.path)],
        "parameters": list(_parameters(route, contract, parts)),
        "responses": dict(_answers(route, contract, parts)),
    }
    if contract.takes:
        operation["requestBody"] = {
            "required": not contract.optional,
            "content": {kind: {"schema": parts.of(shape)} for kind, shape in contract.takes.items()},
        }
    if isinstance(route.permission, Roles):
        operation["security"] = [{"token": []}]
        operation["x-roles"] = sorted(route.permission.names)
    elif route.permission == "signature":
        operation["security"] = [{"twilio" if "twilio" in route.path else "standardWebhooks": []}]
    return operation


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "v1" else parts[0]


def _parameters(route: Route, contract: Contract, parts: Parts) -> Iterator[Json]:
    for name in _PARAMETER.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]}
    if contract.query is not None:
        properties, required = parts.fields(contract.query)
        for name, schema in properties.items():
            yield {"name": name, "in": "query", "required": name in required, "schema": _present(schema)}
    named = (
        *contract.headers,
        *(("Range", "If-Range") if HTTPStatus.PARTIAL_CONTENT in contract.gives else ()),
        *((KEY,) if contract.once else ()),
    )
    for name in named:
        words, schema = HEADERS[name]
        needed = name in contract.headers
        yield {"name": name, "in": "header", "required": needed, "description": words, "schema": schema}


def _present(schema: Json) -> Json:
    """The schema of a query field, without null: an address has no null, there a field is left out."""
    kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"} or value is not None}
    return {**{name: value for name, value in rest.items() if name != "anyOf"}, **kinds[0]} if len(kinds) == 1 else rest


def _answers(route: Route, contract: Contract, parts: Parts) -> Iterator[tuple[str, Json]]:
    for status, what in contract.gives.items():
        named = [REPLAYED] if contract.once else []
        if HTTPStatus.PARTIAL_CONTENT in contract.gives:
            named += ANSWER_HEADERS.get(status, ())
        answer: Json = {"description": HTTPStatus(status).phrase, "headers": headers("X-Request-ID", *named)}
        if isinstance(what, str):
            answer["content"] = {what: {}}
        elif what is not None:
            answer["content"] = {JSON: {"schema": parts.of(what)}}
        yield str(status), answer
    by_status: dict[int, list[str]] = {}
    for code in sorted(refusals.codes(route, contract)):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        if status not in contract.gives:
            yield str(status), refusals.refusal(status, codes, page=route.path.startswith("/access"))
