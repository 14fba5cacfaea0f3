"""What we tell other systems, as `webhooks` of the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from api import schemas
from api.openapi.parts import JSON, TEXT, Json, Parts

OUTGOING: dict[str, tuple[str, type[BaseModel]]] = {
    "recording.stored": ("A recording is kept, and can be looked at and heard.", schemas.StoredData),
    "recording.erased": ("A recording is gone; its certificate says when and why.", schemas.ErasedData),
    "request.answered": ("A person's request was decided.", schemas.AnsweredData),
}


def outgoing(name: str, words: str, data: type[BaseModel], parts: Parts) -> Json:
    """One message we send, and what its receiver may answer."""
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
