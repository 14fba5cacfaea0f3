"""A test call to one of our own lines, from the ring to the certificate: what broke on the way is named by its step.

The call takes the way of every other: the platform's webhooks, the key, the recording, capture, sealing, erasure.
Only who calls differs (`recorder/canary/callers.py`). Nothing of it is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from recorder import erasure, listening, personal, scripts
from recorder.audio import tones
from recorder.canary import callers
from recorder.canary.callers import CANARY
from recorder.errors import AudioError, InvalidInputError
from recorder.lines import Line
from recorder.ports import Service
from storage import audit
from storage.catalogue import calls, canaries, erasing, evidence, recordings, tasks
from storage.catalogue.evidence import Consent
from storage.catalogue.recordings import Recording
from storage.clock import new_id
from storage.errors import RecorderError

REASON = "canary"
PURPOSE = "quality"
PATIENCE_SECONDS = 120.0  # for each step; a call rings, talks and is captured in less
LOOK_SECONDS = 0.2
TASK = "canary_failed"

T = TypeVar("T")


@dataclass(frozen=True)
class Report:
    """How a test call went: the steps passed, each with its seconds; the one that failed, and why (codes)."""

    line: str
    passed: tuple[tuple[str, float], ...]
    failed: str | None = None
    why: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.failed is None


def run(service: Service, number: str, *, patience_s: float = PATIENCE_SECONDS) -> Report:
    """Call a line of ours, check everything, and leave nothing behind but the report. Takes as long as the call.

    What failed is in the report, in a task for people until a call goes well again, and in the audit log. Raises
    `InvalidInputError` where the line is none of ours or settings name nobody who could call it.
    """
    line = service.lines.find(number)
    if line is None:
        raise InvalidInputError("no such line in the line table")
    course = _Course(service, line, callers.caller_for(service, line), patience_s)
    report = course.taken()
    _note(service, report, service.clock())
    return report


def run_due(service: Service, now: datetime) -> int:
    """Call every line whose `canary_minutes` are over since its last test call; says how many were called."""
    with service.database.read() as connection:
        last = {one.line: one.ran_at for one in canaries.latest(connection)}
    for gone in last.keys() - {line.number for line in service.lines.all()}:
        with service.database.write() as connection:
            canaries.forget(connection, gone)
            tasks.close_task(connection, TASK, gone, CANARY.id, now)
    due = [
        line.number
        for line in service.lines.all()
        if line.canary_minutes and _due(last.get(line.number), line.canary_minutes, now)
    ]
    for number in due:
        try:
            run(service, number)
        except RecorderError as error:  # a line that cannot be called is a task, and stops no other
            _note(service, Report(number, (), "called", (error.code,)), service.clock())
    return len(due)


def _due(last: datetime | None, minutes: int, now: datetime) -> bool:
    return last is None or now - last >= timedelta(minutes=minutes)


class _BrokenError(Exception):
    """A step failed; `why` holds codes."""

    def __init__(self, *why: str) -> None:
        super().__init__(*why)
        self.why = why


@dataclass
class _Course:
    """One test call under way."""

    service: Service
    line: Line
    caller: callers.Caller
    patience_s: float
    passed: list[tuple[str, float]] = field(default_factory=list)
    call_id: str = ""
    recording_id: str = ""

    def taken(self) -> Report:
        """Go step by step until one fails; a recording that was made is erased, whatever happened."""
        try:
            for name, step in self._steps():
                started = time.monotonic()
                try:
                    step()
                except _BrokenError as failure:
                    return self._report(name, failure.why)
                except RecorderError as failure:
                    return self._report(name, (failure.code,))
                self.passed.append((name, time.monotonic() - started))
            return self._report()
        finally:
            self._clear_away()

    def _steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "called", self._call
        if self.line.consent == "ask":
            yield "asked", self._asked
        yield "answered", self._answered
        yield "recorded", self._recorded
        yield "stored", self._stored
        yield "heard", self._heard
        yield "cleared_at_platform", self._cleared_at_platform
        yield "erased", self._erased

    def _report(self, failed: str | None = None, why: tuple[str, ...] = ()) -> Report:
        return Report(self.line.number, tuple(self.passed), failed, why)

    def _call(self) -> None:
        since = self.service.clock()
        self.caller.place(self.line)
        self.call_id = self._until("never_arrived", lambda: self._ours(since))

    def _ours(self, since: datetime) -> str | None:
        """The call to the line that came from the number test calls are made from."""
        with self.service.database.read() as connection:
            found = calls.opened_since(connection, self.line.number, since)
        for call in found:
            data = personal.of_call(self.service, call, self.service.clock())
            if personal.customer_number(call.direction, data) == self.service.settings.canary.number:
                return call.id
        return None

    def _asked(self) -> None:
        asked = self._until("no_question", lambda: self._said("requested"))
        with self.service.database.read() as connection:
            approved = scripts.approved(connection, self.line.script, self.service.clock())
        if approved is None or asked.script != approved.id:
            raise _BrokenError("wrong_script")

    def _answered(self) -> None:
        self._until("no_key", self._yes)

    def _yes(self) -> Consent | None:
        for decision in ("refused", "unanswered"):
            if self._said(decision):
                raise _BrokenError(decision)
        return self._said("granted")

    def _said(self, decision: str) -> Consent | None:
        with self.service.database.read() as connection:
            said = evidence.consents_of(connection, [self.call_id])
        return next((one for one in said if one.decision == decision), None)

    def _recorded(self) -> None:
        self.recording_id = self._until("no_recording", lambda: next((one.id for one in self._recordings()), None))

    def _recordings(self) -> list[Recording]:
        with self.service.database.read() as connection:
            return recordings.of_call(connection, self.call_id)

    def _stored(self) -> None:
        self._until("not_stored", self._kept)

    def _kept(self) -> bool:
        found = next(one for one in self._recordings() if one.id == self.recording_id)
        if found.state in {"discarded", "failed"}:
            raise _BrokenError(found.reason or found.state)
        return found.state == "stored"

    def _heard(self) -> None:
        heard = listening.open_for(
            self.service,
            self.recording_id,
            actor=CANARY,
            purpose=PURPOSE,
            rendition="original",
            now=self.service.clock(),
        )
        try:
            faults = tones.faults(heard.reader.read(0, heard.size))
        except AudioError as failure:
            raise _BrokenError("no_audio") from failure
        if faults:
            raise _BrokenError(*faults)

    def _cleared_at_platform(self) -> None:
        self._until("kept_at_platform", lambda: self._copy() in {None, "done"})

    def _copy(self) -> str | None:
        with self.service.database.read() as connection:
            return erasing.platform_copy(connection, self.recording_id)

    def _erased(self) -> None:
        self._until("not_erased", self._certified)

    def _certified(self) -> bool:
        service = self.service
        done = erasure.erase(service, self.recording_id, reason=REASON, actor=CANARY, now=service.clock())
        return done is not None

    def _clear_away(self) -> None:
        if not self.call_id or (self.passed and self.passed[-1][0] == "erased"):
            return
        for recording in self._recordings():
            if recording.state in {"announced", "capturing", "stored", "failed"}:
                erasure.erase(self.service, recording.id, reason=REASON, actor=CANARY, now=self.service.clock())

    def _until(self, failure: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + self.patience_s
        while not (found := look()):
            if time.monotonic() >= deadline:
                raise _BrokenError(failure)
            time.sleep(LOOK_SECONDS)
        return found


def _note(service: Service, report: Report, now: datetime) -> None:
    with service.database.write() as connection:
        canaries.put(connection, report.line, now, report.failed, report.why)
        if report.ok:
            tasks.close_task(connection, TASK, report.line, CANARY.id, now)
        else:
            tasks.open_task(connection, TASK, report.line, now)
        body = {"line": report.line, "failed": report.failed, "why": list(report.why)}
        audit.append(connection, type="canary.ran", actor=CANARY.id, subject=new_id("can"), body=body, now=now)
