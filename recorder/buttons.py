"""The agent's buttons: the customer said yes, pause, resume, stop and delete.

A press is an event like any other: it goes through the inbox, is timed by our clock, and is applied at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recorder import calls
from recorder.actors import Actor
from recorder.errors import CallNotFoundError
from recorder.events import Event, EventType
from recorder.once import WITHOUT_KEY, Once
from recorder.ports import Service
from storage.clock import new_id
from storage.inbox import ref


def consent(
    service: Service,
    platform_call_id: str,
    *,
    actor: Actor,
    now: datetime,
    script: str | None = None,
    once: Once = WITHOUT_KEY,
) -> str:
    """The customer said yes. Returns the call's id. Raises `CallNotFoundError`."""
    data = {"method": "verbal"} if script is None else {"method": "verbal", "script": script}
    return _press(service, "consent.granted", platform_call_id, data, actor, now, once)


def pause(service: Service, platform_call_id: str, *, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> str:
    """Something follows that must not be kept, a card number for one. Holds for every recording of the call."""
    return _press(service, "recording.paused", platform_call_id, {}, actor, now, once)


def resume(service: Service, platform_call_id: str, *, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> str:
    return _press(service, "recording.resumed", platform_call_id, {}, actor, now, once)


def stop(service: Service, platform_call_id: str, *, actor: Actor, now: datetime, once: Once = WITHOUT_KEY) -> str:
    """The customer takes the yes back: nothing of the call is kept, not even what was recorded before."""
    return _press(service, "consent.withdrawn", platform_call_id, {"method": "button"}, actor, now, once)


def _press(
    service: Service,
    kind: EventType,
    platform_call_id: str,
    data: dict[str, Any],
    actor: Actor,
    now: datetime,
    once: Once,
) -> str:
    platform = _platform(service, platform_call_id, now)
    key = f"button:{once.name or new_id('btn')}"  # by it the inbox knows a press it has seen
    event = Event(kind, platform, platform_call_id, key, at=now, clock="service", data=data | {"agent": actor.id})
    return calls.register(service, event, now)


def _platform(service: Service, platform_call_id: str, now: datetime) -> str:
    """The platform whose call it is. Applies what has come in about it first: its start may still lie in the inbox."""
    with service.database.write() as connection:
        for name in service.platforms:
            if calls.apply_call(service, connection, ref(service.keyring, name, platform_call_id), now):
                return name
    raise CallNotFoundError
