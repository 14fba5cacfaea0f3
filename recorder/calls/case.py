"""A call while its events are applied: locked, opened, and what its transaction has still to write down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from recorder import personal
from recorder.actors import SYSTEM
from recorder.events import ReceivedEvent
from recorder.ports import Service
from storage import audit, inbox
from storage.catalogue import calls, relatives, seen
from storage.catalogue.calls import LONGEST_CALL, Call
from storage.clock import new_id
from storage.errors import KeyDestroyedError

AHEAD = timedelta(minutes=5)  # a time further ahead of its own arrival comes from a wrong clock


@dataclass
class Case:
    """Handles personal data and the call key."""

    service: Service
    connection: Connection
    now: datetime
    call: Call
    secret: bytes = field(repr=False)
    data: dict[str, Any] = field(repr=False)
    entries: list[audit.Entry] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    looked_at_again: frozenset[str] = frozenset()  # states whose recordings the news may concern

    def note(self, kind: str, **body: Any) -> None:
        """An audit entry, written when the transaction ends."""
        self.entries.append(audit.Entry(kind, SYSTEM.id, self.call.id, body))


def take(service: Service, connection: Connection, call: Call | None, now: datetime) -> Case | None:
    """Open a locked call; None when it is blank. Raises `KeyDestroyedError`, `KeyUnavailableError`."""
    secret = personal.call_secret(service, call, now) if call else None
    if call is None or secret is None:
        return None
    data = personal.unseal(secret, "calls", call.id, call.sealed)
    return Case(service, connection, now, call, secret, data)


def taken(service: Service, connection: Connection, call: Call | None, now: datetime) -> Case | None:
    """The call, opened; one whose key is destroyed is as good as gone."""
    try:
        return None if call is None else take(service, connection, call, now)
    except KeyDestroyedError:
        return None


def put(case: Case, before: Call, data_before: dict[str, Any]) -> None:
    """Write down what has changed of the call."""
    changed = {name: value for name, value in vars(case.call).items() if value != getattr(before, name)}
    if case.data != data_before:
        changed["sealed"] = personal.seal(case.secret, "calls", case.call.id, case.data)
    if changed:
        calls.change(case.connection, case.call.id, **changed)


def open_call(
    service: Service, connection: Connection, platform: str, platform_call_id: str, received_at: datetime, now: datetime
) -> Case | None:
    """Make a call nobody has seen yet; None where another worker made it at the same moment: there is only one."""
    call = Call(
        id=new_id("call"),
        platform=platform,
        ref=inbox.ref(service.keyring, platform, platform_call_id),
        opened_at=received_at,
        settle_at=received_at + LONGEST_CALL,
    )
    data = {"platform_call_id": platform_call_id}
    call, secret = personal.keyed(service, call, data, now)
    if not calls.insert(connection, call):
        return None
    if call.ref is not None and relatives.inherit(connection, call.id, call.ref):
        seen.forget_leg(connection, call.ref)
    return Case(service, connection, now, call, secret, data)


def known_or_new(
    service: Service, connection: Connection, received: ReceivedEvent, platform_call_id: str, now: datetime
) -> Call | None:
    """The call that an event names as its own call's parent, made if it is new to us; None for one that is gone.

    It is locked, with all calls linked to it. Raises `DatabaseBusyError` where another worker has one of them.
    """
    platform = received.event.platform
    ref = inbox.ref(service.keyring, platform, platform_call_id)
    known = relatives.lock_by_ref(connection, ref, wait=False)
    if known is not None or seen.has(connection, ref):
        return known
    new = open_call(service, connection, platform, platform_call_id, received.received_at, now)
    return relatives.lock_by_ref(connection, ref, wait=False) if new is None else new.call


def moment(received: ReceivedEvent) -> tuple[datetime, str]:
    """When an event happened and by whose clock: where the platform does not say, when it came in, by ours."""
    event = received.event
    return (received.received_at, "service") if event.at is None else (event.at, event.clock)


def plausible(at: datetime, received_at: datetime) -> datetime:
    """A time nobody can have known yet is taken as the time it came in."""
    return received_at if at > received_at + AHEAD else at


def with_opener(case: Case, received: ReceivedEvent) -> None:
    """Note that a call's first webhook has come."""
    if received.event.opens and not case.call.opened:
        case.call = replace(case.call, opened=True)
        case.note("call.opened", platform=received.event.platform)
