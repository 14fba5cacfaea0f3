"""Reads off the rows of a call what `consent.decide` decides on. Handles personal data: party numbers are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
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


def decided(service: Service, connection: Connection, call: Call, recording: Recording, now: datetime) -> Decision:
    """The decision on a recording by what is known now. Lock the call and apply what is pending for it first."""
    settings = service.settings
    return decide(
        of_call(service, connection, call, now),
        of_recording(connection, call, recording),
        now=now,
        deadline_s=settings.consent.deadline_s,
        wait_for_end_s=settings.capture.wait_for_end_s,
        pauses=settings.capture.pauses,
    )


def of_call(service: Service, connection: Connection, call: Call, now: datetime) -> CallFacts:
    """What is known of a call, with what was said in the calls it came out of or went on in."""
    family = calls.family(connection, call.id)
    return CallFacts(
        segment=call.segment,
        ended_at=call.ended_at,
        opened=call.opened,
        skew_us=call.skew_us,
        consents=frozenset(_said(connection, family)),
        parties=_parties(service, connection, family, now),
    )


def of_recording(connection: Connection, call: Call, recording: Recording) -> RecordingFacts:
    # An agent's button is about whatever is recorded then, in the call it is pressed in or in those it belongs to.
    edges = evidence.edges_of(connection, calls.family(connection, call.id))
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


def _standing(connection: Connection, call: Call) -> list[Consent]:
    """The rows of every yes nobody has taken back."""
    said = _said(connection, calls.family(connection, call.id))
    return [said[fact] for fact in standing(CallFacts(call.segment, skew_us=call.skew_us, consents=frozenset(said)))]


def _said(connection: Connection, family: Collection[str]) -> dict[ConsentFact, Consent]:
    rows = evidence.consents_of(connection, family)
    offsets = {row.call_id for row in rows if row.offset_ms is not None}
    starts = {one.id: one.started_at for member in offsets for one in recordings.of_call(connection, member)}
    return {_consent(row, starts): row for row in rows}


def _consent(row: Consent, starts: Mapping[str, datetime | None]) -> ConsentFact:
    """An answer given as an offset into a recording happened when that recording's clock says, or nobody knows."""
    at, clock = row.at, row.clock
    if row.offset_ms is not None:
        start = starts.get(row.recording_id or "")
        at, clock = (None if start is None else start + timedelta(milliseconds=row.offset_ms)), "platform"
    return ConsentFact(row.decision, at, clock, row.received_at)


def _parties(service: Service, connection: Connection, family: Collection[str], now: datetime) -> frozenset[PartyFact]:
    """Whoever came and went besides agents and the customer the call is with."""
    rows = [row for row in evidence.parties_of(connection, family) if row.role != "agent"]
    if not rows:
        return frozenset()
    members = calls.many(connection, family)
    secrets = {one.id: personal.call_secret(service, one, now) for one in members.values()}
    customers = {
        personal.customer_number(one.direction, personal.of_call(service, one, now)) for one in members.values()
    } - {None}
    found = []
    for row in rows:
        secret = secrets[row.call_id]
        number = personal.unseal(secret, "parties", row.id, row.sealed).get("number") if secret else None
        if row.role != "customer" or number not in customers:
            found.append((row, row.leg_id or number or row.role))
    # Of several nobody can tell apart, none is known to be the one who left.
    nameless = Counter(who for row, who in found if who == row.role and row.joined_at is not None)
    return frozenset(_party(row, who) for row, who in found if row.joined_at is not None or nameless[who] <= 1)


def _party(row: Party, who: str) -> PartyFact:
    return PartyFact(who, row.joined_at is not None, row.joined_at or row.left_at)
