"""The JSON of INTERFACES as JSON Schema, and which handler takes and gives which."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
MAYBE: dict[str, Any] = {"type": ["string", "null"]}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
NUMBER: dict[str, Any] = {"type": ["integer", "null"]}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}


def _object(needed: str = "", **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": needed.split(), "properties": properties}


def _fields(kind: dict[str, Any], names: str) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(names.split(), kind)


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


COMPONENTS: dict[str, Any] = {
    "Problem": _object(
        "type title status code", status={"type": "integer"}, **_fields(TEXT, "type title code detail hint request_id")
    ),
    "Consent": _object("decision", decision=TEXT, at=TIME, purposes=TEXTS, **_fields(MAYBE, "method digit script")),
    "Hold": _object(
        "id kind",
        **_fields(TEXT, "id recording_id kind"),
        **_fields(MAYBE, "reason request_id"),
        **_fields(TIME, "placed_at review_at"),
    ),
    "Recording": _object(
        "id state",
        **_fields(TEXT, "id state platform"),
        **_fields(
            MAYBE, "segment platform_call_id platform_recording_id direction agent queue case sha256 content_type"
        ),
        **_fields(TIME, "started_at ended_at expires_at stored_at"),
        **_fields(NUMBER, "duration_ms size_bytes channels"),
        consent={"anyOf": [_ref("Consent"), {"type": "null"}]},
        holds={"type": "array", "items": _ref("Hold")},
        links=_object(audio=TEXT),
    ),
    "Recordings": _object("items next", items={"type": "array", "items": _ref("Recording")}, next=MAYBE),
    "Certificate": _object(
        "certificate_id recording_id reason",
        **_fields(TEXT, "certificate_id recording_id reason ordered_by"),
        **_fields(MAYBE, "segment due_at erased_at verified_at key_destroyed unreadable_in_backups_from"),
        objects_deleted={"type": "integer"},
    ),
    "Erasing": _object("state", state={"const": "erasing"}, certificate_id=MAYBE),
    "SubjectRequest": _object(
        "id kind state received_at due_at matches",
        **_fields(TEXT, "id kind state"),
        **_fields(TIME, "received_at due_at"),
        matches=TEXTS,
    ),
    "Search": _object("", **_fields(TEXT, "phone account agent queue case segment state from to cursor")),
    "Erasure": _object("reason", **_fields(TEXT, "reason text")),
    "NewHold": _object("kind reason", review_at=TIME, **_fields(TEXT, "kind reason")),
    "NewRequest": _object("kind", received_at=TIME, **_fields(TEXT, "kind phone account call")),
    "Approval": _object("recordings identity", recordings=TEXTS, identity=_object("method", method=TEXT)),
    "Refusal": _object(reason=TEXT),
    "Press": _object(script=TEXT),
    "Call": _object("call_id", call_id=TEXT),
    "Pushed": _object("state", state=TEXT),
}

BODIES: dict[str, str] = {
    "search_recordings": "Search",
    "delete_recording": "Erasure",
    "place_hold": "NewHold",
    "open_request": "NewRequest",
    "approve_request": "Approval",
    "refuse_request": "Refusal",
    "agent_consent": "Press",
}

QUERIES: dict[str, tuple[str, ...]] = {
    "list_recordings": ("state", "segment", "agent", "queue", "from", "to", "cursor"),
    "get_audio": ("purpose", "rendition"),
    "push": ("started_at",),
}

ANSWERS: dict[str, dict[int, str | None]] = {
    "search_recordings": {200: "Recordings"},
    "list_recordings": {200: "Recordings"},
    "get_recording": {200: "Recording"},
    "get_audio": {200: None, 206: None, 416: None},
    "delete_recording": {200: "Certificate", 202: "Erasing"},
    "get_certificate": {200: "Certificate"},
    "place_hold": {201: "Hold"},
    "release_hold": {204: None},
    "open_request": {201: "SubjectRequest"},
    "approve_request": {200: "SubjectRequest"},
    "refuse_request": {200: "SubjectRequest"},
    "extend_request": {200: "SubjectRequest"},
    "reissue_link": {202: "SubjectRequest"},
    "push": {201: "Pushed", 200: "Pushed"},
    **{f"agent_{button}": {200: "Call"} for button in ("consent", "pause", "resume", "stop")},
    **{told: {204: None} for told in ("events", "recording", "status")},
}
