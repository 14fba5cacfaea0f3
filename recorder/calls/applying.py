"""One call being brought up to date: each event becomes rows, in any order, each once.

Rows of evidence are only ever added; what they mean is read off the set of them (`family`, `consent`). Nothing here
asks a platform, the directory or a store: it all happens inside one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from recorder import personal, scripts
from recorder.calls import announcing, inquiring
from recorder.calls.case import Case, known_or_new, moment, plausible, with_opener
from recorder.events import Event, ReceivedEvent
from recorder.segments import segment_of
from storage import inbox
from storage.catalogue import calls, evidence, relatives
from storage.catalogue.calls import Leg
from storage.catalogue.evidence import Consent, Edge, Party
from storage.clock import MICROSECOND, new_id

NARROWING = frozenset(
    [
        "consent.refused",
        "consent.unanswered",
        "consent.withdrawn",
        "recording.paused",
        "recording.resumed",
        "party.joined",
        "party.left",
        "call.transferred",
    ]
)
UNCHANGED = frozenset(["consent.requested"])
OF_ANY_LEG = ("agent", "queue", "case")
LEGS_ENDED = "legs_ended_at"  # kept sealed until the call's own end is told


def apply(case: Case, received: ReceivedEvent) -> None:
    """Turn one event into rows. Raises `InvalidEventError` for what cannot be true."""
    event = received.event
    with_opener(case, received)
    _bound_skew(case, received)
    _learn(case, received)
    HANDLERS[event.type](case, received)
    if event.type in UNCHANGED:
        return
    case.looked_at_again |= {"announced", "stored"} if event.type in NARROWING else {"announced"}


def _bound_skew(case: Case, received: ReceivedEvent) -> None:
    """Tell how far at most our clock is ahead of the platform's: a time it states is past when it reaches us."""
    event = received.event
    stated = event.stamped_at or (event.at if event.clock == "platform" else None)
    if stated is not None:
        skew = (received.received_at - stated) // MICROSECOND
        known = case.call.skew_us
        case.call = replace(case.call, skew_us=skew if known is None else min(known, skew))


def _learn(case: Case, received: ReceivedEvent) -> None:
    """Take over what an event says about the call. An update overrides; anything else fills what is not known.

    A leg's numbers are its own: it may turn out to be a call with another customer.
    """
    data = received.event.data
    if received.event.call_id != case.data.get("platform_call_id"):
        data = {name: data[name] for name in OF_ANY_LEG if name in data}
    overrides = received.event.type in {"call.updated", "call.transferred"}
    for name in ("from", "to", "account", "agent", "case"):
        if data.get(name) is not None and (overrides or case.data.get(name) is None):
            case.data[name] = data[name]
    call = case.call
    told = {
        name: data[name]
        for name in ("direction", "queue")
        if data.get(name) is not None and (overrides or getattr(call, name) is None)
    }
    told |= {name: data[name] for name in ("customer_type", "call_kind") if data.get(name) is not None}
    call = replace(call, **told)
    line = case.service.lines.find(personal.our_number(call.direction, case.data))
    if line is not None:
        call = replace(
            call,
            line=line.number,
            brand=line.brand,
            language=line.language,
            customer_type=call.customer_type or line.customer_type,
            call_kind=call.call_kind or line.call_kind,
        )
    case.call = replace(call, segment=segment_of(call.direction, call.customer_type, call.call_kind))


def _started(case: Case, received: ReceivedEvent) -> None:
    at, _ = moment(received)
    case.call = replace(case.call, started_at=case.call.started_at or plausible(at, received.received_at))
    _link(case, received)


def _told(case: Case, received: ReceivedEvent) -> None:
    _link(case, received)


def _ended(case: Case, received: ReceivedEvent) -> None:
    """A call ends when its last leg does, but is over only once its own end has been told."""
    stated = received.event.data.get("ended_at")
    at = plausible(datetime.fromisoformat(stated) if stated else moment(received)[0], received.received_at)
    call, legs = case.call, case.data.pop(LEGS_ENDED, None)
    latest = max(at, call.ended_at or at, datetime.fromisoformat(legs) if legs else at)
    own = inbox.ref(case.service.keyring, call.platform, received.event.call_id) == call.ref
    if not own and call.ended_at is None:
        case.data[LEGS_ENDED] = latest.isoformat()
        return
    case.call = replace(call, ended_at=latest, state="over", settle_at=case.now)
    if call.state == "open":
        case.note("call.ended")


def _moved(case: Case, received: ReceivedEvent) -> None:
    """Somebody came, went, or was put through."""
    event, (at, _) = received.event, moment(received)
    _link(case, received)
    party = event.data.get("party")
    if not party:
        return
    row_id = new_id("pty")
    came = event.type != "party.left"
    row = Party(
        id=row_id,
        call_id=case.call.id,
        role=party["role"],
        leg_id=None if event.data.get("leg_id") is None else _leg_mark(case, event.data["leg_id"]),
        joined_at=at if came else None,
        left_at=None if came else at,
        sealed=personal.seal(case.secret, "parties", row_id, {"number": party.get("number")}),
    )
    evidence.add_party(case.connection, row)
    case.note("party.joined" if came else "party.left", role=party["role"])


def _leg_mark(case: Case, leg_id: str) -> str:
    """A leg's name among its call's parties: the platform's own id is personal."""
    return inbox.ref(case.service.keyring, case.call.platform, f"leg:{case.call.id}:{leg_id}").hex()


def _consent(case: Case, received: ReceivedEvent) -> None:
    event, (at, clock) = received.event, moment(received)
    decision = event.type.removeprefix("consent.")
    script = _script(case, event) if decision == "granted" else None
    about = announcing.announced(case, received) if event.recording_id else None
    said = {"agent": event.data.get("agent"), "platform_call_id": event.call_id}
    row_id = new_id("cns")
    row = Consent(
        id=row_id,
        call_id=case.call.id,
        recording_id=about.id if about else None,
        decision=decision,
        method=event.data.get("method"),
        at=at,
        clock=clock,
        offset_ms=event.data.get("offset_ms"),
        received_at=received.received_at,
        digit=event.data.get("digit"),
        script=script.id if script else event.data.get("script"),
        purposes=list(script.purposes) if script else None,
        language=event.data.get("language") or case.call.language,
        confidence=event.data.get("confidence"),
        sealed=personal.seal(case.secret, "consents", row_id, said),
    )
    evidence.add_consent(case.connection, row)
    case.note(event.type, consent=row_id, method=row.method, script=row.script)
    if event.data.get("told_to_record"):
        inquiring.note(case.service, case.connection, event, case.now)
    if case.call.state == "over":
        case.call = replace(case.call, settle_at=case.now)


def _script(case: Case, event: Event) -> scripts.Script | None:
    """The words the yes was given to: those the event names, else what the line says that day."""
    named = event.data.get("script")
    if named is not None:
        return scripts.find(case.connection, named)
    line = case.service.lines.find(case.call.line)
    return scripts.approved(case.connection, line.script, case.now) if line and line.script else None


def _edge(case: Case, received: ReceivedEvent) -> None:
    """An edge of one recording or, from an agent's button, of all of the call's."""
    event, (at, clock) = received.event, moment(received)
    recording = announcing.announced(case, received) if event.recording_id else None
    if event.recording_id and recording is None:
        return
    row = Edge(
        id=new_id("spn"),
        call_id=recording.call_id if recording else case.call.id,
        recording_id=recording.id if recording else None,
        edge=event.type.removeprefix("recording."),
        at=at,
        clock=clock,
        received_at=received.received_at,
    )
    evidence.add_edge(case.connection, row)
    if recording is not None and recording.state == "stored":
        case.looked_at_again |= {"stored"}
    if recording is not None and event.data.get("channel_map") is not None:
        announcing.laid_out(case, recording, event.data["channel_map"])
    if recording is None:
        case.note(event.type)
    elif event.type in {"recording.started", "recording.stopped"} and clock == "platform":
        announcing.timed(case, recording, event.type, at)


def _link(case: Case, received: ReceivedEvent) -> None:
    """A call that came out of another one: what is consented to and withdrawn in either holds for both."""
    event = received.event
    parent_id = event.data.get("parent_call_id")
    if parent_id is None or parent_id == event.call_id:
        return
    parent = known_or_new(case.service, case.connection, received, parent_id, case.now)
    if parent is None:
        ref = inbox.ref(case.service.keyring, event.platform, parent_id)
        linked = relatives.inherit(case.connection, case.call.id, ref)
    elif linked := parent.id not in calls.family(case.connection, case.call.id):
        calls.add_leg(case.connection, Leg(id=new_id("leg"), call_id=case.call.id, parent_call_id=parent.id))
    if linked:
        case.looked_at_again |= {"announced", "stored"}


HANDLERS: dict[str, Callable[[Case, ReceivedEvent], None]] = {
    "call.started": _started,
    "call.updated": _told,
    "call.transferred": _moved,
    "party.joined": _moved,
    "party.left": _moved,
    "call.ended": _ended,
    "consent.requested": _consent,
    "consent.granted": _consent,
    "consent.refused": _consent,
    "consent.unanswered": _consent,
    "consent.withdrawn": _consent,
    "recording.started": _edge,
    "recording.paused": _edge,
    "recording.resumed": _edge,
    "recording.stopped": _edge,
    "recording.available": announcing.available,
    "recording.absent": announcing.absent,
    "recording.failed": announcing.absent,
}
