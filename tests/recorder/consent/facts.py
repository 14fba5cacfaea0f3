"""Facts of a call of ten minutes and of its recording, for a decision about what may be kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recorder.consent import CallFacts, ConsentFact, Decision, EdgeFact, RecordingFacts, decide

START = datetime(2026, 9, 3, 8, 0, tzinfo=UTC)
END = START + timedelta(seconds=600)
LATER = END + timedelta(seconds=1)
DAY = timedelta(days=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def said(decision: str, seconds: float | None, clock: str = "platform", received: float | None = None) -> ConsentFact:
    heard = at(seconds or 0) if received is None else at(received)
    return ConsentFact(decision, None if seconds is None else at(seconds), clock, heard, "dtmf")


def edge(kind: str, seconds: float, clock: str = "platform") -> EdgeFact:
    return EdgeFact(kind, at(seconds), clock)


def a_call(*consents: ConsentFact, **changes: Any) -> CallFacts:
    facts = CallFacts(segment="private_inbound", ended_at=END, skew_us=50_000, consents=frozenset(consents))
    return replace(facts, **changes)


def a_recording(*edges: EdgeFact, **changes: Any) -> RecordingFacts:
    facts = RecordingFacts(started_at=START, available_at=END, duration_ms=600_000, edges=frozenset(edges))
    return replace(facts, **changes)


def decision(
    call: CallFacts, recording: RecordingFacts | None = None, now: datetime = LATER, pauses: str = "mute"
) -> Decision:
    return decide(call, recording or a_recording(), now=now, deadline_s=86_400, wait_for_end_s=60, pauses=pauses)
