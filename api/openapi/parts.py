"""Types as JSON schemas, each named once; and how headers are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from api import schemas
from api.routing import Contract, Shape

JSON = "application/json"
REFERENCE = "#/components/schemas/{model}"

Json = dict[str, Any]
TEXT: Json = {"type": "string"}


class _Untitled(GenerateJsonSchema):
    """Schemas whose fields have no title: it would only repeat the name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 -- pydantic's signature
        return False


class Parts:
    """Schemas of all types, each named once, with references between them."""

    def __init__(self, shapes: Iterable[type]) -> None:
        kinds = dict.fromkeys(shapes)
        wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
            (kind.__name__, _mode(kind), TypeAdapter(kind)) for kind in kinds
        ]
        self._of, definitions = TypeAdapter.json_schemas(wanted, ref_template=REFERENCE, schema_generator=_Untitled)
        self.components: Json = definitions["$defs"]

    def of(self, shape: Shape) -> Json:
        if isinstance(shape, Mapping):
            return dict(shape)
        return self._of[shape.__name__, _mode(shape)]

    def fields(self, shape: Shape) -> tuple[Json, list[str]]:
        """The properties of an object, and the names of those that are required."""
        found = self.components[shape.__name__] if isinstance(shape, type) else shape
        return found["properties"], found.get("required", [])


def _mode(kind: type) -> JsonSchemaMode:
    served = issubclass(kind, schemas.Given) or kind is schemas.Certificate
    return "serialization" if served else "validation"


def shapes(contract: Contract) -> Iterator[type]:
    """The types a contract names."""
    for shape in (*contract.takes.values(), contract.query, *contract.gives.values()):
        if isinstance(shape, type):
            yield shape


def headers(*names: str) -> Json:
    """Headers of an answer, by reference to the components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def header(words: str, schema: Json | None = None) -> Json:
    """A component that describes one header."""
    return {"description": words, "schema": schema or TEXT}
