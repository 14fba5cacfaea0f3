"""A call with the calls linked to it: whose yes speaks for whom, and what follows for a recording.

Handles personal data: the numbers of those who spoke are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import Connection

from recorder import personal, scripts
from recorder.consent import CallFacts, ConsentFact, Decision, EdgeFact, PartyFact, RecordingFacts, decide, standing
from recorder.ports import Service
from recorder.retention import policy_days
from storage.catalogue import calls, evidence, recordings
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent, Edge, Party
from storage.catalogue.recordings import Recording
from storage.errors import IntegrityError, KeyDestroyedError


class Family:
    """A call and every call it came out of or went on in, as one transaction sees them.

    What was said in one of them counts in all; but a yes speaks for one customer only. Each row is read at most once,
    when it is first needed: make a new family for a new transaction, and after any change.
    """

    def __init__(self, connection: Connection, call: Call) -> None:
        self.call = call
        self._connection = connection

    def decided(self, service: Service, recording: Recording, now: datetime) -> Decision:
        """The decision on a recording of the call. Lock the call and apply what is pending for it first."""
        settings = service.settings
        return decide(
            self.facts(service, now, never=_never(service, self.call, recording)),
            self._of(recording),
            now=now,
            deadline_s=settings.consent.deadline_s,
            wait_for_end_s=settings.capture.wait_for_end_s,
            pauses=settings.capture.pauses,
        )

    def facts(self, service: Service, now: datetime, *, never: bool = False) -> CallFacts:
        """What is known of the call. Raises `KeyDestroyedError` where it cannot be told any more who spoke."""
        people = self._people(service, now)
        return CallFacts(
            segment=self.call.segment,
            ended_at=self.call.ended_at,
            opened=self.call.opened,
            skew_us=self.call.skew_us,
            consents=frozenset(self._said(people.strangers_to(self.call))),
            parties=_parties(self._moves, people.movers, people.spoken_for(self.call)),
            never=never,
        )

    def kept_days(self, service: Service) -> int | None:
        """For how many days the call's recordings are kept; None where its class is not known."""
        if self.call.segment is None:
            return None
        named = sorted({one.script for one in self._standing if one.script is not None})
        told = [script.retention_days for name in named if (script := scripts.find(self._connection, name)) is not None]
        return policy_days(service.settings.retention, self.call.segment, told)

    @property
    def purposes(self) -> frozenset[str]:
        """What every standing yes was given for."""
        agreed = [frozenset(one.purposes or ()) for one in self._standing]
        return frozenset.intersection(*agreed) if agreed else frozenset()

    def yes(self, service: Service, now: datetime) -> Consent | None:
        """The yes to show for what is kept of the call: its own last one, else that of a linked call speaking for it.

        None where nobody said one, or where nobody can tell any more whom it speaks for.
        """
        if own := _granted(one for one in self._consents if one.call_id == self.call.id):
            return own[-1]
        if len(self._members) == 1:
            return None
        try:
            strangers = self._people(service, now).strangers_to(self.call)
        except (KeyDestroyedError, IntegrityError):
            return None
        found = _granted(self._said(strangers).values())
        return found[-1] if found else None

    @cached_property
    def _members(self) -> set[str]:
        return calls.family(self._connection, self.call.id)

    @cached_property
    def _consents(self) -> list[Consent]:
        return evidence.consents_of(self._connection, self._members)

    @cached_property
    def _moves(self) -> list[Party]:
        return evidence.parties_of(self._connection, self._members)

    @cached_property
    def _edges(self) -> list[Edge]:
        return evidence.edges_of(self._connection, self._members)

    @cached_property
    def _standing(self) -> list[Consent]:
        """The rows of every yes nobody has taken back, whoever it speaks for."""
        said = self._said()
        facts = CallFacts(self.call.segment, skew_us=self.call.skew_us, consents=frozenset(said))
        return [said[fact] for fact in standing(facts)]

    def _said(self, strangers: Collection[str] = ()) -> dict[ConsentFact, Consent]:
        """What was said, without a yes from a call of `strangers`: that speaks for somebody else, a no for all."""
        rows = [row for row in self._consents if row.decision != "granted" or row.call_id not in strangers]
        members = self._members if any(row.offset_ms is not None for row in rows) else ()
        starts = {one.id: one.started_at for member in members for one in recordings.of_call(self._connection, member)}
        return {_consent(row, starts): row for row in rows}

    def _of(self, recording: Recording) -> RecordingFacts:
        # An agent's button is about whatever is recorded then, in the call it is pressed in or in those linked to it.
        edges = [one for one in self._edges if one.recording_id in {None, recording.id}]
        return RecordingFacts(
            started_at=recording.started_at,
            available_at=recording.available_at,
            duration_ms=recording.duration_ms,
            by_answer=recording.by_answer,
            maybe_by_answer=recording.maybe_by_answer,
            edges=frozenset(EdgeFact(one.edge, one.at, one.clock) for one in edges),
        )

    def _people(self, service: Service, now: datetime) -> _People:
        """Who spoke. Blank calls name nobody: what was said in one counts for the call that inherited it."""
        if not self._moves and len(self._members) == 1:
            return _People({}, {})
        members = calls.many(self._connection, self._members)
        secrets = {one.id: personal.call_secret(service, one, now) for one in members.values()}
        movers: dict[str, str | None] = {}
        for row in self._moves:
            secret = secrets[row.call_id]
            movers[row.id] = personal.unseal(secret, "parties", row.id, row.sealed).get("number") if secret else None
        agents = {movers[row.id] for row in self._moves if row.role == "agent"}
        numbers = {
            one.id: personal.customer_number(one.direction, personal.unseal(secret, "calls", one.id, one.sealed))
            for one in members.values()
            if (secret := secrets[one.id]) is not None
        }
        return _People({one: None if number in agents else number for one, number in numbers.items()}, movers)


@dataclass(frozen=True)
class _People:
    """Numbers of those who spoke in a family. Handles personal data."""

    customers: Mapping[str, str | None]  # by call; None: an agent's, or not known
    movers: Mapping[str, str | None]  # of whoever came or went, by the row that says so

    def strangers_to(self, call: Call) -> set[str]:
        """The calls whose customer is not this call's, or not known; empty where this call's own is not known."""
        own = self.customers.get(call.id)
        return {one for one, number in self.customers.items() if own is not None and number != own}

    def spoken_for(self, call: Call) -> set[str | None]:
        """The call's own customer, for whom its yes speaks; where that is not known, all customers in the family."""
        own = self.customers.get(call.id)
        return {own} if own is not None else set(self.customers.values()) - {None}


def _never(service: Service, call: Call, recording: Recording) -> bool:
    """Whether the line table forbids the recording. One stored already stays: whoever was asked was told it is kept."""
    line = service.lines.find(call.line)
    return recording.state != "stored" and line is not None and line.consent == "never"


def _granted(said: Iterable[Consent]) -> list[Consent]:
    return [one for one in said if one.decision == "granted"]


def _consent(row: Consent, starts: Mapping[str, datetime | None]) -> ConsentFact:
    """An answer given as an offset into a recording is timed from its start; if that is unknown, so is the time."""
    at, clock = row.at, row.clock
    if row.offset_ms is not None:
        start = starts.get(row.recording_id or "")
        at, clock = (None if start is None else start + timedelta(milliseconds=row.offset_ms)), "platform"
    return ConsentFact(row.decision, at, clock, row.received_at, row.method)


def _parties(
    moves: Collection[Party], movers: Mapping[str, str | None], customers: Collection[str | None]
) -> frozenset[PartyFact]:
    """Whoever came and went besides agents and the customer the call is with."""
    found = []
    for row in moves:
        number = movers[row.id]
        if row.role != "agent" and (row.role != "customer" or number not in customers):
            found.append((row, row.leg_id or number or row.role))
    # Where several cannot be told apart, nobody knows which of them left, so none counts as gone. One nameless customer
    # who joined makes several: the call's own is there without having joined.
    nameless = Counter(who for row, who in found if who == row.role and row.joined_at is not None)
    return frozenset(
        _party(row, who)
        for row, who in found
        if row.joined_at is not None or nameless[who] < (1 if who == "customer" else 2)
    )


def _party(row: Party, who: str) -> PartyFact:
    return PartyFact(who, row.joined_at is not None, row.joined_at or row.left_at)
