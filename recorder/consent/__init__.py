"""Whether a recording may be kept, and what of it: one pure function of what is known (docs/adr/0006).

The facts are a set: their order and repetition mean nothing. Times are compared only within one clock, or across
clocks with a guard where the platform's is known to agree with ours; what cannot be proven is not covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from recorder.consent.spans import UNTIL_END, WHOLE, Span, Spans, intersect, subtract, union
from recorder.consent.timeline import GUARD, MILLISECOND, Timed, Timeline, paused, visits
from storage.catalogue.calls import LONGEST_CALL

OPENER_GRACE = timedelta(hours=1)  # how long events that overtook their call's first webhook wait for it
NO = frozenset(["refused", "withdrawn"])


@dataclass(frozen=True)
class ConsentFact:
    """One answer. One given as an offset into a recording carries the time worked out from it."""

    decision: str  # requested | granted | refused | unanswered | withdrawn
    at: datetime | None
    clock: str  # platform | service
    received_at: datetime
    method: str | None  # dtmf | verbal | button


@dataclass(frozen=True)
class PartyFact:
    """Somebody whom the consent of the first customer does not speak for came or went. Agents are not listed."""

    who: str  # the same for one party's coming and going
    came: bool
    at: datetime | None
    clock: str = "platform"


@dataclass(frozen=True)
class EdgeFact:
    """Recording started, paused, resumed or stopped, as the platform or an agent's button said."""

    edge: str
    at: datetime | None
    clock: str


@dataclass(frozen=True)
class CallFacts:
    segment: str | None
    ended_at: datetime | None = None
    opened: bool = True  # its first webhook came
    skew_us: int | None = None  # smallest received-minus-stamped; None: the platform never says when it sent
    consents: frozenset[ConsentFact] = frozenset()
    parties: frozenset[PartyFact] = frozenset()
    never: bool = False  # its line is never recorded, whoever says yes


@dataclass(frozen=True)
class RecordingFacts:
    started_at: datetime | None  # by the platform's clock
    available_at: datetime | None  # by ours; None: it cannot be fetched yet
    duration_ms: int | None = None
    by_answer: bool = False  # our own answer to the yes started it
    maybe_by_answer: bool = False  # it was started on our account, perhaps by our answer
    edges: frozenset[EdgeFact] = frozenset()


@dataclass(frozen=True)
class Decision:
    """`keep` and `mute` lie on the recording's own timeline; a span may stop at `UNTIL_END`."""

    kind: Literal["keep", "discard", "wait"]
    reason: str
    keep: Spans = ()
    mute: Spans = ()
    until: datetime | None = None  # when a wait ends by itself; None: only with news

    @property
    def whole(self) -> bool:
        """Nothing of the recording is cut or muted."""
        return self.keep == WHOLE and not self.mute


def decide(
    call: CallFacts, recording: RecordingFacts, *, now: datetime, deadline_s: int, wait_for_end_s: int, pauses: str
) -> Decision:
    """Keep these spans, discard, or wait.

    A plain no is final once the call is over; what a late event may yet mend waits until the deadline. While the call
    runs nothing is decided, because an act in it may still narrow. `pauses` is "mute" or "cut".
    """
    running = _running(call, recording, timedelta(seconds=wait_for_end_s))
    if running is None or now < running:
        return Decision("wait", "call_running", until=running)
    bar = barred(call)
    if bar is not None:
        return Decision("discard", bar)
    grants = standing(call)
    if grants and recording.available_at is None:
        return Decision("wait", "not_available")
    fault, keep, mute = _coverage(call, recording, grants)
    if pauses == "cut":
        keep, mute = subtract(keep, mute), ()
    if keep:
        return Decision("keep", "consented", keep, intersect(mute, keep))
    over = call.ended_at or recording.available_at
    until = None if over is None else over + timedelta(seconds=deadline_s)
    if until is None or now < until:
        return Decision("wait", "consent_pending", until=until)
    return Decision("discard", fault or "paused")


def narrowed(before: Decision, after: Decision) -> Decision:
    """What stays of a recording kept by `before` when all that is known now says `after`: never more."""
    if after.kind != "keep":
        return after
    keep = intersect(before.keep, after.keep)
    if not keep:
        return Decision("discard", "uncovered")
    return Decision("keep", after.reason, keep, intersect(union(before.mute + after.mute), keep))


def _running(call: CallFacts, recording: RecordingFacts, wait: timedelta) -> datetime | None:
    """Until when the call counts as running; None: until we hear of it."""
    if call.opened and call.ended_at is not None:
        return call.ended_at
    return None if recording.available_at is None else recording.available_at + (wait if call.opened else OPENER_GRACE)


def barred(call: CallFacts) -> str | None:
    """Why nothing of a call that is over may be kept, whatever still arrives."""
    if not call.opened:
        return "unknown_call"
    if call.segment is None:
        return "class_unknown"
    if call.never:
        return "never_recorded"
    said = {fact.decision for fact in call.consents}
    if standing(call):
        return None
    if said & NO:
        return "withdrawn" if said & {"granted", "withdrawn"} else "refused"
    return "unanswered" if "unanswered" in said else None


def standing(call: CallFacts) -> list[ConsentFact]:
    """Every yes that no refusal or withdrawal has taken back: the ones proven to come after all of them."""
    clocks = Timeline(None, call.skew_us)
    noes = [fact for fact in call.consents if fact.decision in NO]
    yeses = [fact for fact in call.consents if fact.decision == "granted"]
    return [yes for yes in yeses if all(clocks.after(yes, no) for no in noes)]


def _coverage(call: CallFacts, recording: RecordingFacts, grants: list[ConsentFact]) -> tuple[str, Spans, Spans]:
    """(why nothing is covered, where that is so; spans covered; spans paused)."""
    if not grants:
        return "no_consent", (), ()
    timeline = Timeline(recording.started_at, call.skew_us)
    pauses = paused(recording.edges, timeline)
    starts = [0] if _caused(call, recording, grants) else _starts(grants, timeline)
    if not starts or pauses is None:
        return "unproven", (), ()
    covered = subtract([(min(starts), UNTIL_END)], _closed(call, grants, timeline))
    # Platforms round durations to whole seconds.
    end = UNTIL_END if recording.duration_ms is None else recording.duration_ms + 1000
    return ("", covered, pauses) if intersect(covered, [(0, end)]) else ("uncovered", (), ())


def _starts(grants: list[ConsentFact], timeline: Timeline) -> list[int]:
    """From where each yes provably covers the recording; one from before its call can have begun covers nothing."""
    places = [timeline.place(grant) for grant in grants]
    return [max(0, place[1]) for place in places if place is not None and place[0] >= -LONGEST_CALL // MILLISECOND]


def _caused(call: CallFacts, recording: RecordingFacts, grants: list[ConsentFact]) -> bool:
    """Whether a yes given through us started this recording: cause beats clock.

    Not where anybody said no: a yes before that no, perhaps one we never heard of, could have started it. Only a key
    press gets an answer of ours; after an agent's button, a recording counts only if it began after the press.
    """
    ours = [fact for fact in grants if fact.clock == "service"]
    if not ours or any(fact.decision in NO for fact in call.consents):
        return False
    if recording.by_answer and any(fact.method == "dtmf" for fact in ours):
        return True
    if call.skew_us is not None and not Timeline(None, call.skew_us).clocks_agree:
        return False
    earliest = min(fact.received_at for fact in ours) - GUARD
    perhaps = recording.by_answer or recording.maybe_by_answer
    return perhaps and recording.started_at is not None and recording.started_at >= earliest


def _closed(call: CallFacts, grants: list[ConsentFact], timeline: Timeline) -> list[Span]:
    """Spans in which somebody was on the call who had not said yes, or after a question that went unanswered."""
    closed: list[Span] = []
    for fact in call.consents:
        if fact.decision == "unanswered":
            closed += _closed_from(fact, None, grants, timeline)
    for who in {party.who for party in call.parties}:
        for came, went in visits([party for party in call.parties if party.who == who]):
            closed += _closed_from(came, went, grants, timeline)
    return closed


def _closed_from(start: Timed | None, stop: Timed | None, grants: list[ConsentFact], timeline: Timeline) -> list[Span]:
    """From `start` (None: from the beginning) until `stop`, or until a yes proven to come no earlier."""
    renewing = [grant for grant in grants if start is not None and timeline.after(grant, start, or_at=True)]
    if len(renewing) == len(grants):
        return []
    begin = timeline.place(start) if start is not None else None
    ends = [timeline.place(moment) for moment in (*renewing, *([stop] if stop is not None else []))]
    return [(begin[0] if begin else 0, min((place[1] for place in ends if place is not None), default=UNTIL_END))]
