"""What JSON clients see of a recording, a request, a hold: the names of INTERFACES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recorder.finding import Found
from storage.catalogue.evidence import Consent
from storage.catalogue.holds import Hold
from storage.catalogue.requests import Request
from storage.clock import rfc3339


def recording(found: Found) -> dict[str, Any]:
    row, personal = found.recording, found.personal
    return {
        "id": row.id,
        "state": row.state,
        "segment": row.segment,
        "platform": row.platform,
        "platform_call_id": personal.get("platform_call_id"),
        "platform_recording_id": personal.get("platform_recording_id"),
        "direction": row.direction,
        "agent": personal.get("agent"),
        "queue": row.queue,
        "case": personal.get("case"),
        "started_at": rfc3339(row.call_started_at),
        "ended_at": rfc3339(row.call_ended_at),
        "expires_at": rfc3339(row.expires_at),
        "stored_at": rfc3339(row.stored_at),
        "duration_ms": row.duration_ms,
        "size_bytes": row.size_bytes,
        "sha256": personal.get("sha256"),
        "channels": row.channels,
        "content_type": row.content_type,
        "consent": consent(found.consent) if found.consent else None,
        "holds": [hold(one) for one in found.holds],
        "links": {"audio": f"/v1/recordings/{row.id}/audio"} if row.state == "stored" else {},
    }


def consent(one: Consent) -> dict[str, Any]:
    return {
        "method": one.method,
        "decision": one.decision,
        "at": rfc3339(one.at),
        "digit": one.digit,
        "script": one.script,
        "purposes": one.purposes or [],
    }


def hold(one: Hold) -> dict[str, Any]:
    return {
        "id": one.id,
        "recording_id": one.recording_id,
        "kind": one.kind,
        "reason": one.reason,
        "request_id": one.request_id,
        "placed_at": rfc3339(one.placed_at),
        "review_at": rfc3339(one.review_at),
    }


def subject_request(wish: Request, matches: Sequence[str]) -> dict[str, Any]:
    return {
        "id": wish.id,
        "kind": wish.kind,
        "state": wish.state,
        "received_at": rfc3339(wish.received_at),
        "due_at": rfc3339(wish.due_at),
        "matches": list(matches),
    }
