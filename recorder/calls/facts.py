"""Reads off the rows of a call what `consent.decide` decides on. Handles personal data: party numbers are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from recorder import personal, scripts
from recorder.consent import CallFacts, ConsentFact, Decision, EdgeFact, PartyFact, RecordingFacts, decide, standing
from recorder.ports import Service
from recorder.retention import policy_days
from storage.catalogue import calls, evidence, recordings
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent, Party
from storage.catalogue.recordings import Recording
from storage.errors import IntegrityError, KeyDestroyedError


def decided(service: Service, connection: Connection, call: Call, recording: Recording, now: datetime) -> Decision:
    """The decision on a recording by what is known now. Lock the call and apply what is pending for it first."""
    settings, family = service.settings, calls.family(connection, call.id)
    return decide(
        replace(_of_family(service, connection, call, family, now), never=_never(service, call, recording)),
        _of_recording(connection, family, recording),
        now=now,
        deadline_s=settings.consent.deadline_s,
        wait_for_end_s=settings.capture.wait_for_end_s,
        pauses=settings.capture.pauses,
    )


def of_call(service: Service, connection: Connection, call: Call, now: datetime) -> CallFacts:
    """What is known of a call, with what was said in the calls it came out of or went on in."""
    return _of_family(service, connection, call, calls.family(connection, call.id), now)


def _never(service: Service, call: Call, recording: Recording) -> bool:
    """Whether the line table forbids it. That reaches nothing stored: whoever was asked was told that it is kept."""
    line = service.lines.find(call.line)
    return recording.state != "stored" and line is not None and line.consent == "never"


def _of_family(
    service: Service, connection: Connection, call: Call, family: Collection[str], now: datetime
) -> CallFacts:
    moves = evidence.parties_of(connection, family)
    customers, movers = _people(service, connection, family, moves, now) if moves or len(family) > 1 else ({}, {})
    own = customers.get(call.id)
    return CallFacts(
        segment=call.segment,
        ended_at=call.ended_at,
        opened=call.opened,
        skew_us=call.skew_us,
        consents=frozenset(_said(connection, family, _strangers(call, customers))),
        parties=_parties(moves, movers, {own} if own is not None else set(customers.values()) - {None}),
    )


def _of_recording(connection: Connection, family: Collection[str], recording: Recording) -> RecordingFacts:
    # An agent's button is about whatever is recorded then, in the call it is pressed in or in those it belongs to.
    edges = evidence.edges_of(connection, family)
    return RecordingFacts(
        started_at=recording.started_at,
        available_at=recording.available_at,
        duration_ms=recording.duration_ms,
        by_answer=recording.by_answer,
        maybe_by_answer=recording.maybe_by_answer,
        edges=frozenset(
            EdgeFact(one.edge, one.at, one.clock) for one in edges if one.recording_id in {None, recording.id}
        ),
    )


def kept_days(service: Service, connection: Connection, call: Call) -> int | None:
    """For how many days a call's recordings are kept; None where its class is not known."""
    if call.segment is None:
        return None
    named = {one.script for one in _standing(connection, call) if one.script is not None}
    told = [script.retention_days for name in sorted(named) if (script := scripts.find(connection, name)) is not None]
    return policy_days(service.settings.retention, call.segment, told)


def purposes(connection: Connection, call: Call) -> frozenset[str]:
    """What every standing yes was given for."""
    agreed = [frozenset(one.purposes or ()) for one in _standing(connection, call)]
    return frozenset.intersection(*agreed) if agreed else frozenset()


def yes(service: Service, connection: Connection, call: Call, now: datetime) -> Consent | None:
    """The yes to show for what is kept of a call: its own last one, else that of a linked call which speaks for it.

    None where nobody said one, or it cannot be told any more whom it speaks for.
    """
    if own := _granted(evidence.consents_of(connection, [call.id])):
        return own[-1]
    family = calls.family(connection, call.id)
    if len(family) == 1:
        return None
    try:
        customers, _ = _people(service, connection, family, evidence.parties_of(connection, family), now)
    except (KeyDestroyedError, IntegrityError):
        return None
    found = _granted(_said(connection, family, _strangers(call, customers)).values())
    return found[-1] if found else None


def _granted(said: Iterable[Consent]) -> list[Consent]:
    return [one for one in said if one.decision == "granted"]


def _standing(connection: Connection, call: Call) -> list[Consent]:
    """The rows of every yes nobody has taken back."""
    said = _said(connection, calls.family(connection, call.id))
    return [said[fact] for fact in standing(CallFacts(call.segment, skew_us=call.skew_us, consents=frozenset(said)))]


def _said(
    connection: Connection, family: Collection[str], strangers: Collection[str] = ()
) -> dict[ConsentFact, Consent]:
    """What was said in the family; a yes given in a call of `strangers` speaks for somebody else, a no for all."""
    said = evidence.consents_of(connection, family)
    rows = [row for row in said if row.decision != "granted" or row.call_id not in strangers]
    offsets = {row.call_id for row in rows if row.offset_ms is not None}
    starts = {one.id: one.started_at for member in offsets for one in recordings.of_call(connection, member)}
    return {_consent(row, starts): row for row in rows}


def _strangers(call: Call, customers: Mapping[str, str | None]) -> set[str]:
    """The linked calls with another customer than this one has, or with one nobody knows; none where it has none."""
    own = customers.get(call.id)
    return {one for one, number in customers.items() if own is not None and number != own}


def _consent(row: Consent, starts: Mapping[str, datetime | None]) -> ConsentFact:
    """An answer given as an offset into a recording happened when that recording's clock says, or nobody knows."""
    at, clock = row.at, row.clock
    if row.offset_ms is not None:
        start = starts.get(row.recording_id or "")
        at, clock = (None if start is None else start + timedelta(milliseconds=row.offset_ms)), "platform"
    return ConsentFact(row.decision, at, clock, row.received_at, row.method)


def _people(
    service: Service, connection: Connection, family: Collection[str], moves: Collection[Party], now: datetime
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The number of each call's customer, None where it is an agent's or not known; and of whoever came or went.

    Not of blank calls: what was said there counts for the one that inherited it.
    """
    members = calls.many(connection, family)
    secrets = {one.id: personal.call_secret(service, one, now) for one in members.values()}
    movers: dict[str, str | None] = {}
    for row in moves:
        secret = secrets[row.call_id]
        movers[row.id] = personal.unseal(secret, "parties", row.id, row.sealed).get("number") if secret else None
    agents = {movers[row.id] for row in moves if row.role == "agent"}
    customers = {
        one.id: personal.customer_number(one.direction, personal.unseal(secret, "calls", one.id, one.sealed))
        for one in members.values()
        if (secret := secrets[one.id]) is not None
    }
    return {call_id: None if number in agents else number for call_id, number in customers.items()}, movers


def _parties(
    moves: Collection[Party], movers: Mapping[str, str | None], customers: Collection[str | None]
) -> frozenset[PartyFact]:
    """Whoever came and went besides agents and the customer the call is with."""
    found = []
    for row in moves:
        number = movers[row.id]
        if row.role != "agent" and (row.role != "customer" or number not in customers):
            found.append((row, row.leg_id or number or row.role))
    # Of several nobody can tell apart, none is known to be the one who left; and a customer is there unannounced.
    nameless = Counter(who for row, who in found if who == row.role and row.joined_at is not None)
    return frozenset(
        _party(row, who)
        for row, who in found
        if row.joined_at is not None or nameless[who] < (1 if who == "customer" else 2)
    )


def _party(row: Party, who: str) -> PartyFact:
    return PartyFact(who, row.joined_at is not None, row.joined_at or row.left_at)
