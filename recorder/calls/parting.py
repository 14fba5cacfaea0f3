"""A leg that turns out to be a call of its own, whose start came in after events that had named it as another's leg.

What came in under its id was said and recorded in it: who agreed there speaks for nobody in the other call, nor the
other way round. Handles personal data and call keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recorder import personal
from recorder.calls.case import Case, open_call, taken
from recorder.events import ReceivedEvent
from recorder.ports import Service
from storage import inbox
from storage.catalogue import calls, evidence, recordings
from storage.catalogue.calls import Call, Leg
from storage.catalogue.recordings import Recording
from storage.clock import new_id
from storage.errors import KeyDestroyedError

BEGUN = {"state": "announced", "lease": None, "lease_until": None}  # whoever is capturing it decided by the other call


def part(service: Service, connection: Connection, call: Call, events: Sequence[ReceivedEvent], now: datetime) -> bool:
    """Make each leg whose start has come in a call of its own, linked to the one it came out of; whether any was."""
    parted = False
    for one in events:
        event = one.event
        if event.type != "call.started":
            continue
        ref = inbox.ref(service.keyring, event.platform, event.call_id)
        if ref == call.ref or not calls.remove_leg(connection, ref):
            continue
        case = open_call(service, connection, event.platform, event.call_id, one.received_at, now)
        if case is not None:
            calls.add_leg(connection, Leg(id=new_id("leg"), call_id=case.call.id, parent_call_id=call.id))
            _hand_over(taken(service, connection, call, now), case, event.call_id)
            parted = True
    if parted:
        recordings.look_again(connection, calls.family(connection, call.id), now)
        calls.change(connection, call.id, when={"state": "over"}, settle_at=now)
    return parted


def _hand_over(giver: Case | None, taker: Case, platform_call_id: str) -> None:
    if giver is None:
        return
    connection = giver.connection
    for row in evidence.consents_of(connection, [giver.call.id]):
        own = personal.unseal(giver.secret, "consents", row.id, row.sealed)
        if own.get("platform_call_id") == platform_call_id:
            sealed = personal.seal(taker.secret, "consents", row.id, own)
            evidence.move_consent(connection, row.id, taker.call.id, sealed)
    for recording in recordings.of_call(connection, giver.call.id):
        own = _own(giver, recording)
        if own.get("platform_call_id") == platform_call_id:
            _move(taker, recording, own)


def _own(case: Case, recording: Recording) -> dict[str, Any]:
    if recording.dek is None:
        return personal.unseal(case.secret, "recordings", recording.id, recording.sealed)
    try:
        return personal.of_recording(case.service, case.call, recording, case.now)
    except KeyDestroyedError:
        return {}


def _move(case: Case, recording: Recording, own: dict[str, Any]) -> None:
    values: dict[str, Any] = {"call_id": case.call.id} | (BEGUN if recording.state == "capturing" else {})
    if recording.dek is None:
        values["sealed"] = personal.seal(case.secret, "recordings", recording.id, own)
    recordings.change(case.connection, recording.id, when={"state": recording.state}, **values)
    evidence.move_edges(case.connection, recording.id, case.call.id)
