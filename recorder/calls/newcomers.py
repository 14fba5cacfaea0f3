"""Events of a call that has no row: a leg of another call, a new call, or one that is gone or never was ours.

Only a call's first webhook opens a call. A platform whose answers come from us must have sent that webhook before it
recorded anything, so its recording of an unknown call is deleted at its source at once. Events of other platforms that
overtook their call's opening wait for it in a row of their own. What was once here and is gone never comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from recorder import sources
from recorder.calls.case import Case, known_or_new, open_call, taken
from recorder.events import ReceivedEvent
from recorder.ports import Service
from storage import inbox
from storage.catalogue import calls, recordings, relatives, seen
from storage.catalogue.calls import Call, Leg
from storage.clock import new_id

LYING_THERE = ("recording.available", "recording.started")  # events that say a platform has a copy


def admit(
    service: Service, connection: Connection, ref: bytes, events: Sequence[ReceivedEvent], now: datetime
) -> tuple[Case | None, bool]:
    """The call of events whose own id has no row, None where there is no such call; and whether it is new."""
    if seen.has(connection, ref):
        return None, False
    parent = _parent(service, connection, events)
    if parent is not None:
        calls.add_leg(connection, Leg(id=new_id("leg"), call_id=parent.id, ref=ref))
        return taken(service, connection, parent, now), False
    if not any(one.event.opens for one in events) and any("by_answer" in one.event.data for one in events):
        return None, False
    first = min(events, key=lambda one: one.received_at)
    case = open_call(service, connection, first.event.platform, first.event.call_id, first.received_at, now)
    if case is not None:
        return case, True
    return taken(service, connection, relatives.lock_by_ref(connection, ref), now), False


def turn_away(service: Service, connection: Connection, events: Sequence[ReceivedEvent], now: datetime) -> bool:
    """Have deleted, at its platform, what it recorded of a call gone or never ours; whether there was any."""
    lying = [one.event for one in events if one.event.recording_id is not None and one.event.type in LYING_THERE]
    for event in lying:
        sources.leave(service, connection, event, "unknown_call", now)
    return bool(lying)


def pass_on(
    service: Service, connection: Connection, ref: bytes, events: Sequence[ReceivedEvent], now: datetime
) -> bool:
    """Let a no said in a call that is gone count in the call these events link it to; whether there was one."""
    named = _naming_another(events) if seen.refused_at(connection, ref) is not None else None
    relative = None if named is None else known_or_new(service, connection, *named, now)
    if relative is None or not relatives.inherit(connection, relative.id, ref):
        return False
    recordings.look_again(connection, calls.family(connection, relative.id), now)
    calls.change(connection, relative.id, when={"state": "over"}, settle_at=now)
    return True


def _parent(service: Service, connection: Connection, events: Sequence[ReceivedEvent]) -> Call | None:
    """The call these events name as their parent; None where one of them starts a call of its own, not a mere leg."""
    named = None if any(one.event.type == "call.started" for one in events) else _naming_another(events)
    if named is None:
        return None
    one, parent_id = named
    return relatives.lock_by_ref(connection, inbox.ref(service.keyring, one.event.platform, parent_id), wait=False)


def _naming_another(events: Sequence[ReceivedEvent]) -> tuple[ReceivedEvent, str] | None:
    for one in events:
        parent_id = one.event.data.get("parent_call_id")
        if parent_id is not None and parent_id != one.event.call_id:
            return one, parent_id
    return None
