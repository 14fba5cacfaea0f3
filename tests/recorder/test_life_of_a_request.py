"""A request from the first mail to the last letter, in any order of what may happen, against what was promised.

The model is small: by when an answer is due, what holds stand, what was withdrawn, and which links a person has. The
rest is looked at in the rows: whatever happens, and wherever the process dies, these hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from recorder import disclosure, erasure, listening
from recorder.errors import ForbiddenError, RecordingNotFoundError
from recorder.subject_requests.course import DELETING, DISCLOSING, UNREACHED
from tests.conftest import Prepared
from tests.recorder.a_life import PURPOSES
from tests.recorder.backups import House
from tests.recorder.happenings import Happenings

ANSWERS = {"access", "granted", "refused", "identity_closed"}


class Life(Happenings):
    def teardown(self) -> None:
        with self.stack:
            self.world.mood = "well"
            self.world.passes(3, stride=1)
            self.nothing_leaks()
            self.everybody_has_one_answer()

    def may_be_heard(self, recording_id: str, purpose: str) -> bool:
        kept, row = self.kept[recording_id], self.row(recording_id)
        if row is None or row["state"] != "stored":
            return False
        kinds = {one["kind"] for one in self.standing() if one["recording_id"] == recording_id}
        strict = kinds - {"access"}
        over = kept.expires_at <= self.now or row["expires_at"] <= self.now
        if over and not kinds:
            return False
        if over or kept.withdrawn or "restriction" in strict:
            return purpose in (strict or {"access"})
        return purpose in {*PURPOSES, *strict, "access"}

    # What holds at every step

    @invariant()
    def is_heard_only_while_and_for_what_it_may(self) -> None:
        for recording_id in self.kept:
            for purpose in ("quality", "access", "legal"):
                with self.service.database.read() as connection:
                    try:
                        listening.may_hear(connection, recording_id, purpose, self.now)
                        heard = True
                    except (RecordingNotFoundError, ForbiddenError):
                        heard = False
                assert heard == self.may_be_heard(recording_id, purpose), (purpose, self.kept[recording_id])

    @invariant()
    def a_visitor_sees_what_was_approved_and_nothing_else(self) -> None:
        for visit, letter in self.visits:
            here = self.lives(visit)
            if here is None:
                continue
            assert letter.token not in self.dead
            (wish,) = self.world.rows("requests", id=letter.request_id)
            assert wish["state"] == "answered"
            approved = {one["recording_id"] for one in self.matches(wish["id"]) if one["approved"]}
            items = {one.id: one for one in disclosure.page(self.service, here, self.now).items}
            assert items.keys() == approved
            for recording_id in self.kept:
                item, may = items.get(recording_id), self.may_be_heard(recording_id, "access")
                try:
                    disclosure.audio(self.service, here, recording_id, "original", self.now)
                    heard = True
                except (RecordingNotFoundError, ForbiddenError):
                    heard = False
                assert heard == (may and item is not None)
                assert heard == (item is not None and item.recording is not None and not item.closed)

    @invariant()
    def no_link_lives_that_should_not(self) -> None:
        states = {one["id"]: one["state"] for one in self.requests()}
        alive = [one for one in self.world.rows("links") if one["state"] in {"minted", "open"}]
        assert all(states[one["request_id"]] == "answered" for one in alive)
        assert max(Counter(one["request_id"] for one in alive).values(), default=1) == 1

    @invariant()
    def holds_are_counted_and_keep(self) -> None:
        counted = Counter(one["recording_id"] for one in self.standing())
        for recording_id in self.kept:
            row = self.row(recording_id)
            assert (0 if row is None else row["holds"]) == counted[recording_id]
        lawful = {one["id"] for one in self.standing() if one["kind"] != "access" and one["request_id"] is None}
        gone = {one for one, (recording_id, _) in self.strict.items() if self.gone(recording_id)}
        assert lawful == self.strict.keys()
        assert not gone

    @invariant()
    def nothing_goes_between_the_wish_for_a_copy_and_its_answer(self) -> None:
        waiting = {one["id"] for one in self.requests("received") if one["kind"] in DISCLOSING}
        for wish_id, recording_id in self.asked_for:
            assert wish_id not in waiting or self.kept[recording_id].ordered or not self.gone(recording_id)
        held = {(one["request_id"], one["recording_id"]) for one in self.standing() if one["kind"] == "access"}
        self.asked_for = {one for one in held if one[0] in waiting}

    @invariant()
    def each_act_is_told_once(self) -> None:
        once = (
            *("request.opened", "request.approved", "request.refused", "request.closed", "request.extended"),
            *("consent.withdrawn", "recording.erasing", "recording.erased"),
        )
        entries = self.world.entries()
        told = Counter((kind, subject) for kind, subject, _ in entries if kind in once)
        told += Counter((kind, body) for kind, _, body in entries if kind in {"hold.placed", "hold.released"})
        assert max(told.values(), default=1) == 1, told.most_common(3)

    # What holds once everything that runs by itself has run

    def nothing_leaks(self) -> None:
        standing = {(one["request_id"], one["recording_id"]) for one in self.standing() if one["kind"] == "access"}
        due = set()
        for wish in self.requests("received", "answered"):
            clock = self.clocks[wish["id"]]
            if wish["state"] == "received" and clock.identity_asked_at and wish["identity_asked_at"] is None:
                self.clocks[wish["id"]] = clock = replace(clock, identity_asked_at=None)  # it never arrived
                assert self.world.rows("tasks", subject_id=wish["id"], kind="delivery_failed")
            assert (wish["due_at"], wish["extended"]) == (clock.due_at, clock.extended)
            matched = self.matches(wish["id"])
            if wish["kind"] in DISCLOSING:
                due |= {
                    (wish["id"], one["recording_id"])
                    for one in matched
                    if (wish["state"] == "received" or one["approved"]) and not self.gone(one["recording_id"])
                }
        assert standing == due
        for wish in self.requests("answered", "closed"):  # what a process died over is carried out by now
            if wish["kind"] in DELETING and wish["answered_at"]:
                self.took_back([one["recording_id"] for one in self.matches(wish["id"]) if one["approved"]])
        for recording_id, one in self.kept.items():
            held = any(hold["recording_id"] == recording_id for hold in self.standing())
            over = one.expires_at <= self.now or one.withdrawn or one.ordered
            row = self.row(recording_id)
            assert (row is None) == (over and not held), (one, held)
            if row is None:
                told = erasure.certificate(self.service, recording_id)
                reasons = {"ordered": one.ordered, "withdrawn": one.withdrawn, "expired": one.expires_at <= self.now}
                assert reasons[str(told["reason"])]
        for wish in self.requests("refused", "closed"):
            waits = [one for one in self.world.rows("outbox", subject_id=wish["id"]) if one["state"] == "new"]
            assert bool(wish["sealed"]) == bool(waits)

    def everybody_has_one_answer(self) -> None:
        for wish in self.requests():
            sent = {(one.id, one.template) for one in self.world.letters if one.request_id == wish["id"]}
            answers = Counter(template for _, template in sent if template in ANSWERS)
            right = self.right_answer(wish)
            assert answers.keys() <= right, (wish["state"], wish["outcome"], answers)
            revoked = self.world.rows("links", request_id=wish["id"], state="revoked")  # by people, before it was sent
            if right and not answers and not revoked:
                tasks = {one["kind"] for one in self.world.rows("tasks", subject_id=wish["id"])}
                assert tasks & {"delivery_failed", "contact_missing"}, (wish["state"], wish["outcome"])
            assert all(answers[one] <= 1 for one in ANSWERS - {"access"})
            if wish["outcome"] == "lapsed":  # not while people were to see to it that a link arrives
                unreached = [one for one in self.world.rows("tasks", subject_id=wish["id"]) if one["kind"] in UNREACHED]
                assert not [one for one in unreached if one["closed_at"] == wish["closed_at"]]

    def right_answer(self, wish: dict[str, Any]) -> set[str]:
        if wish["state"] == "received":
            return set()
        if wish["state"] == "refused":
            return {"refused"}
        if wish["outcome"] == "identity_unanswered":
            return {"identity_closed"}
        return {"access", "granted"} if wish["kind"] in DISCLOSING else {"granted"}


def test_p4_p6_whatever_happens_everybody_is_answered_once_and_nothing_is_heard_that_may_not_be(
    house: House, prepare: Callable[[str], Prepared], database_kind: str
) -> None:
    """Made anew for each example: what happens to one person says nothing about another's."""
    run_state_machine_as_test(
        lambda: Life(house, prepare(database_kind)),
        settings=settings(
            max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
