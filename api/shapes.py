"""What JSON clients see of a recording, a request, a hold."""

from __future__ import annotations

from collections.abc import Sequence

from api import schemas
from recorder.finding import Found, FoundPage
from storage.catalogue.evidence import Consent
from storage.catalogue.holds import Hold
from storage.catalogue.requests import Request


def recordings(page: FoundPage) -> schemas.Recordings:
    return schemas.Recordings(items=[recording(one) for one in page.items], next=page.next)


def recording(found: Found) -> schemas.Recording:
    row, personal = found.recording, found.personal
    return schemas.Recording(
        id=row.id,
        state=row.state,
        segment=row.segment,
        platform=row.platform,
        platform_call_id=personal.get("platform_call_id"),
        platform_recording_id=personal.get("platform_recording_id"),
        direction=row.direction,
        agent=personal.get("agent"),
        queue=row.queue,
        case=personal.get("case"),
        started_at=row.call_started_at,
        ended_at=row.call_ended_at,
        expires_at=row.expires_at,
        stored_at=row.stored_at,
        duration_ms=row.duration_ms,
        size_bytes=row.size_bytes,
        sha256=personal.get("sha256"),
        channels=row.channels,
        channel_map=personal.get("channel_map"),
        content_type=row.content_type,
        consent=consent(found.consent) if found.consent else None,
        holds=[hold(one) for one in found.holds],
        links={"audio": f"/v1/recordings/{row.id}/audio"} if row.state == "stored" else {},
    )


def consent(one: Consent) -> schemas.Consent:
    return schemas.Consent(
        method=one.method,
        decision=one.decision,
        at=one.at,
        digit=one.digit,
        script=one.script,
        purposes=one.purposes or [],
    )


def hold(one: Hold) -> schemas.Hold:
    return schemas.Hold.model_validate(one, from_attributes=True)


def subject_request(wish: Request, matches: Sequence[str]) -> schemas.SubjectRequest:
    return schemas.SubjectRequest(
        id=wish.id,
        kind=wish.kind,
        state=wish.state,
        received_at=wish.received_at,
        due_at=wish.due_at,
        matches=list(matches),
    )
