"""`/openapi.json`: OpenAPI 3.1, made from the route table, the types handlers read and write by, and the errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

import recorder.errors
import storage.errors
from api import schemas
from api.answers import KEY, REPLAYED
from api.problems import AGAIN, STATUS
from api.routing import SAFE_METHODS, Contract, Roles, Route, Shape
from storage.errors import RecorderError

JSON, PROBLEM = "application/json", "application/problem+json"
PARTS = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
PATH_PARAMETERS: dict[str, Json] = {
    "id": TEXT | {"pattern": schemas.ID},
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
# Codes any route may answer with, by what it does.
EVERYWHERE = ("internal", "storage", "database_unavailable", "database_busy", "database_full", "timeout")
WITH_TOKEN = ("unauthenticated", "forbidden", "key_unavailable")
WITH_BODY = ("invalid_input", "too_large")
AUDIO = ("store_unavailable", "store_refused", "store_clock")
SIGNED = ("signature", "invalid_event", "too_large", "inbox_full")
OUTGOING: dict[str, tuple[str, type[BaseModel]]] = {
    "recording.stored": ("A recording is kept, and can be looked at and heard.", schemas.StoredData),
    "recording.erased": ("A recording is gone; its certificate says when and why.", schemas.ErasedData),
    "request.answered": ("A person's request was decided.", schemas.AnsweredData),
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
    parts = _Parts(shape for _, contract in described for shape in _shapes(contract))
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
        "webhooks": {name: _outgoing(name, *words, parts) for name, words in OUTGOING.items()},
        "components": {
            "schemas": parts.components,
            "examples": {code: {"value": example} for code, example in sorted(_examples().items())},
            "headers": {
                "X-Request-ID": _header("names this request in our log"),
                "Retry-After": _header("seconds to wait before asking again", {"type": "integer"}),
                "WWW-Authenticate": _header("`Bearer`"),
                REPLAYED: _header("the act was done before, under the same key", {"const": "true"}),
                "Accept-Ranges": _header("`bytes`", {"const": "bytes"}),
                "Content-Range": _header("what part of how much this is"),
                "ETag": _header("for `If-Range`"),
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`recorder token create`"},
                "twilio": {"type": "apiKey", "in": "header", "name": "X-Twilio-Signature"},
                "standardWebhooks": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
            },
        },
    }


class _Untitled(GenerateJsonSchema):
    """Without a title for each field that only repeats its name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 -- pydantic's signature
        return False


class _Parts:
    """Schemas of all types, each named once, with references between them."""

    def __init__(self, shapes: Iterable[type]) -> None:
        kinds = dict.fromkeys([*shapes, schemas.Problem, *(data for _, data in OUTGOING.values())])
        wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
            (kind.__name__, _mode(kind), TypeAdapter(kind)) for kind in kinds
        ]
        self._of, definitions = TypeAdapter.json_schemas(wanted, ref_template=PARTS, schema_generator=_Untitled)
        self.components: Json = definitions["$defs"]

    def of(self, shape: Shape) -> Json:
        if isinstance(shape, Mapping):
            return dict(shape)
        return self._of[shape.__name__, _mode(shape)]

    def fields(self, shape: Shape) -> tuple[Json, list[str]]:
        """The properties of an object and which of them are needed."""
        found = self.components[shape.__name__] if isinstance(shape, type) else shape
        return found["properties"], found.get("required", [])


def _mode(kind: type) -> JsonSchemaMode:
    served = issubclass(kind, schemas.Given) or kind is schemas.Certificate
    return "serialization" if served else "validation"


def _shapes(contract: Contract) -> Iterator[type]:
    for shape in (*contract.takes.values(), contract.query, *contract.gives.values()):
        if isinstance(shape, type):
            yield shape


def _operation(route: Route, contract: Contract, parts: _Parts) -> Json:
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


def _parameters(route: Route, contract: Contract, parts: _Parts) -> Iterator[Json]:
    for name in _PARAMETER.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]}
    if contract.query is not None:
        properties, required = parts.fields(contract.query)
        for name, schema in properties.items():
            yield {"name": name, "in": "query", "required": name in required, "schema": _present(schema)}
    headers = (
        *contract.headers,
        *(("Range", "If-Range") if HTTPStatus.PARTIAL_CONTENT in contract.gives else ()),
        *((KEY,) if contract.once else ()),
    )
    for name in headers:
        words, schema = HEADERS[name]
        needed = name in contract.headers
        yield {"name": name, "in": "header", "required": needed, "description": words, "schema": schema}


def _present(schema: Json) -> Json:
    """A field that is left out rather than null: there is no null in an address."""
    kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"} or value is not None}
    return {**{name: value for name, value in rest.items() if name != "anyOf"}, **kinds[0]} if len(kinds) == 1 else rest


def _answers(route: Route, contract: Contract, parts: _Parts) -> Iterator[tuple[str, Json]]:
    for status, what in contract.gives.items():
        headers = [REPLAYED] if contract.once else []
        if HTTPStatus.PARTIAL_CONTENT in contract.gives:
            headers += ANSWER_HEADERS.get(status, ())
        answer: Json = {"description": HTTPStatus(status).phrase, "headers": _headers("X-Request-ID", *headers)}
        if isinstance(what, str):
            answer["content"] = {what: {}}
        elif what is not None:
            answer["content"] = {JSON: {"schema": parts.of(what)}}
        yield str(status), answer
    by_status: dict[int, list[str]] = {}
    for code in sorted(_codes(route, contract)):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        if status not in contract.gives:
            yield str(status), _refusal(status, codes, page=route.path.startswith("/access"))


def _refusal(status: int, codes: list[str], *, page: bool) -> Json:
    extra = ["Retry-After"] if status in AGAIN else ["WWW-Authenticate"] if "unauthenticated" in codes else []
    problem = {
        "schema": {"$ref": PARTS.format(model="Problem")},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
    }
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "headers": _headers("X-Request-ID", *extra),
        "content": {"text/html": {}} if page else {PROBLEM: problem},
    }


def _codes(route: Route, contract: Contract) -> set[str]:
    codes = {*EVERYWHERE, *contract.refuses}
    if isinstance(route.permission, Roles):
        codes.update(WITH_TOKEN)
    elif route.permission == "signature":
        codes.update(SIGNED)
    if route.method not in SAFE_METHODS and route.permission != "signature":
        codes.add("cross_site")
    if contract.takes or contract.query or contract.once:
        codes.update(WITH_BODY)
    if contract.once:
        codes.update(("idempotency_in_use", "idempotency_reused"))
    if route.pool in {"audio", "push"}:
        codes.update(AUDIO)
    if "{id}" in route.path:
        codes.add("not_found")
    return codes


def _outgoing(name: str, words: str, data: type[BaseModel], parts: _Parts) -> Json:
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": TEXT | {"format": "date-time"},
            "data": parts.of(data),
        },
    }
    return {
        "post": {
            "operationId": "told_" + name.replace(".", "_"),
            "summary": words,
            "description": "Signed by Standard Webhooks. Told at least once, in no promised order; ids only.",
            "parameters": [
                {"name": header, "in": "header", "required": True, "schema": TEXT}
                for header in ("webhook-id", "webhook-timestamp", "webhook-signature")
            ],
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {
                "2XX": {"description": "taken"},
                "410": {"description": "send no more"},
                "default": {"description": "sent again, for three days"},
            },
        }
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(words: str, schema: Json | None = None) -> Json:
    return {"description": words, "schema": schema or TEXT}


def _examples() -> dict[str, Json]:
    """What each code looks like."""
    kinds: dict[str, type[RecorderError]] = {}
    for module in (storage.errors, recorder.errors):
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, RecorderError):
                kinds.setdefault(one.code, one)
    found = {}
    for code, status in STATUS.items():
        phrase = HTTPStatus(status).phrase
        kind = kinds.get(code)
        problem = schemas.Problem(
            type=f"urn:recorder:error:{code}",
            title=phrase,
            status=status,
            code=code,
            detail=str(kind()) if kind else phrase.lower(),
            request_id="0Yk3cJ8wZs2nQ1xR",
            hint=kind.hint if kind else None,
        )
        found[code] = problem.model_dump(exclude_none=True)
    return found
