"""What may happen to requests, and a small model of it: deadlines, holds, withdrawals, and links that must be dead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from recorder import access_links, disclosure, erasure, holds, shortening
from recorder import subject_requests as wishes
from recorder.access_links import Visit
from recorder.actors import SYSTEM, Actor
from recorder.delivery import bounces
from recorder.errors import ChoiceNeededError, HeldError, LinkError
from recorder.subject_requests import identity_check
from recorder.subject_requests.course import DELETING
from tests.conftest import Prepared
from tests.recorder.a_life import COPENHAGEN, Clock, Kept, Letter, World, month_end, world
from tests.recorder.asking import DPO, PHONE
from tests.recorder.backups import House
from tests.recorder.post import deliver_due

OPERATOR = Actor("tok_operator", "operator")
some = st.integers(0, 7)
kinds = st.sampled_from(("access", "access", *wishes.KINDS))
dies = st.sampled_from((0, 0, 0, 0, 1, 2, 3))


class Happenings(RuleBasedStateMachine):
    def __init__(self, house: House, prepared: Prepared) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(world(house, prepared))
        self.kept: dict[str, Kept] = {}
        self.clocks: dict[str, Clock] = {}
        self.strict: dict[str, tuple[str, str]] = {}  # hold → recording and kind
        self.dead: set[str] = set()  # tokens that must open nothing any more
        self.visits: list[tuple[Visit, Letter]] = []
        self.asked_for: set[tuple[str, str]] = set()  # by whom, and still unanswered
        self.shortened = False
        self.once: set[str] = set()  # happenings that occur once at most: they would end every story early

    # What is there

    @property
    def service(self) -> Any:
        return self.world.service

    @property
    def now(self) -> datetime:
        return self.world.clock()

    def requests(self, *states: str) -> list[dict[str, Any]]:
        found = sorted(self.world.rows("requests"), key=lambda one: (one["received_at"], one["id"]))
        return [one for one in found if not states or one["state"] in states]

    def one_of(self, things: list[Any], number: int) -> Any:
        return things[number % len(things)] if things else None

    def recording(self, number: int) -> str:
        return str(self.one_of(list(self.kept), number))

    def row(self, recording_id: str) -> dict[str, Any] | None:
        return next(iter(self.world.rows("recordings", id=recording_id)), None)

    def matches(self, request_id: str) -> list[dict[str, Any]]:
        return self.world.rows("matches", request_id=request_id)

    def decide(
        self,
        states: tuple[str, ...],
        n: int,
        dies_in: int,
        does: Callable[[Any], object],
        after: Callable[[Any], Clock],
    ) -> None:
        """Do something to a request and check its clock: changed as `after` says if the act was done, unchanged if it
        was refused, either of these if the process died.
        """
        wish = self.one_of(self.requests(*states), n)
        if wish is None:
            return
        before = self.clocks[wish["id"]]
        went = self.world.act(lambda: does(wish), dies_in)
        (row,) = self.world.rows("requests", id=wish["id"])
        found = Clock(**{name: row[name] for name in vars(before)})
        expected = after(before)
        assert found in {"done": [expected], "refused": [before], "died": [before, expected]}[went]
        self.clocks[wish["id"]] = found

    # What may happen

    @initialize(
        kinds=st.lists(kinds, min_size=1, max_size=3), calls=st.integers(1, 2), days=st.sampled_from((0, 27, 50))
    )
    def begins(self, kinds: list[str], calls: int, days: int) -> None:
        self.world.clock.advance(days=days)
        self.service.keyring.ensure(self.now)
        for number in range(calls):
            self.call(number)
        for kind in kinds:
            self.asks(kind, 0, 0)

    @precondition(lambda self: len(self.kept) < 4)
    @rule(hours=some)
    def call(self, hours: int) -> None:
        """Some are captured late: the call took place before a request that is open by now."""
        ago = timedelta(hours=hours)
        self.kept[self.world.keep(ago)] = Kept(self.now - ago + timedelta(days=90))

    @precondition(lambda self: len(self.requests()) < 4)
    @rule(kind=kinds, days=some, dies_in=dies)
    def asks(self, kind: str, days: int, dies_in: int) -> None:
        received = self.now - timedelta(days=days)
        known = {one["id"] for one in self.requests()}
        self.world.act(
            lambda: wishes.open_request(self.service, kind, phone=PHONE, received_at=received, actor=DPO, now=self.now),
            dies_in,
        )
        day = received.astimezone(COPENHAGEN).date()
        for one in self.requests():
            if one["id"] not in known:
                self.clocks[one["id"]] = Clock(month_end(day, 1))

    @precondition(lambda self: self.requests("received"))
    @rule(n=some, leaving=st.sampled_from((0, 0, 1, 2)), dies_in=dies)
    def approves(self, n: int, leaving: int, dies_in: int) -> None:
        def does(wish: Any) -> None:
            found = sorted(one["recording_id"] for one in self.matches(wish["id"]))
            wishes.approve(self.service, wish["id"], found[leaving:], "callback", DPO, self.now)
            if wish["kind"] in DELETING:
                self.took_back(found[leaving:])

        self.decide(("received",), n, dies_in, does, lambda clock: clock)
        self.took_back_by_now()

    @precondition(lambda self: self.requests("received"))
    @rule(n=some, reason=st.sampled_from(wishes.REFUSALS), dies_in=dies)
    def refuses(self, n: int, reason: str, dies_in: int) -> None:
        does = lambda wish: wishes.refuse(self.service, wish["id"], DPO, self.now, reason, "Fordi.")  # noqa: E731
        self.decide(("received",), n, dies_in, does, lambda clock: clock)

    @precondition(lambda self: self.requests("received"))
    @rule(n=some, dies_in=dies)
    def extends(self, n: int, dies_in: int) -> None:
        wish = self.one_of(self.requests("received"), n)
        day = wish["received_at"].astimezone(COPENHAGEN).date() if wish else date.min

        def after(clock: Clock) -> Clock:
            if clock.extended:
                return clock
            return replace(clock, extended=True, due_at=clock.due_at + (month_end(day, 3) - month_end(day, 1)))

        self.decide(("received",), n, dies_in, lambda one: wishes.extend(self.service, one["id"], DPO, self.now), after)

    @precondition(lambda self: self.requests("received"))
    @rule(n=some, dies_in=dies)
    def asks_who_it_is(self, n: int, dies_in: int) -> None:
        does = lambda wish: identity_check.ask(self.service, wish["id"], DPO, self.now)  # noqa: E731
        self.decide(("received",), n, dies_in, does, lambda clock: replace(clock, identity_asked_at=self.now))

    @precondition(lambda self: self.requests("received"))
    @rule(n=some, dies_in=dies)
    def says_who_it_is(self, n: int, dies_in: int) -> None:
        def after(clock: Clock) -> Clock:
            if clock.identity_asked_at is None:
                return clock
            return replace(clock, identity_asked_at=None, due_at=clock.due_at + (self.now - clock.identity_asked_at))

        does = lambda wish: identity_check.answered(self.service, wish["id"], DPO, self.now)  # noqa: E731
        self.decide(("received",), n, dies_in, does, after)

    @precondition(lambda self: self.requests("answered"))
    @rule(n=some, revoking=st.booleans(), dies_in=dies)
    def link_is_replaced(self, n: int, revoking: bool, dies_in: int) -> None:
        act = wishes.revoke if revoking else wishes.reissue

        def does(wish: Any) -> None:
            act(self.service, wish["id"], DPO, self.now)
            self.dead |= {one.token for one in self.world.letters if one.token and one.request_id == wish["id"]}

        self.decide(("answered",), n, dies_in, does, lambda clock: clock)

    @rule(mood=st.sampled_from(("well", "well", "away", "refuses", "silent")))
    def the_post(self, mood: str) -> None:
        self.world.mood = mood

    @rule(minutes=st.sampled_from((1, 61, 600)), dies_in=dies)
    def post_goes(self, minutes: int, dies_in: int) -> None:
        self.world.clock.advance(minutes=minutes)
        self.world.act(lambda: deliver_due(self.service, self.now), dies_in)

    @precondition(lambda self: self.world.letters)
    @rule(n=some)
    def comes_back(self, n: int) -> None:
        letter = self.one_of(self.world.letters, n)
        if letter and self.world.act(lambda: bounces.report(self.service, letter.id, OPERATOR, self.now)) == "done":
            self.dead |= {one.token for one in self.world.letters if one.token and one.id == letter.id}

    @precondition(lambda self: any(one.token for one in self.world.letters))
    @rule(n=some, right=st.booleans())
    def follows_a_link(self, n: int, right: bool) -> None:
        letter = self.one_of([one for one in self.world.letters if one.token], n)
        if letter is None:
            return
        cookie = access_links.open_link(self.service, letter.token, self.now)
        try:
            if not access_links.send_code(self.service, cookie, self.now):
                return
            deliver_due(self.service, self.now)
            code = self.world.texts[-1] if self.world.texts else "000000"
            tried = access_links.verify_code(self.service, cookie, code if right else "12345 6", self.now)
            if tried.token is not None:
                self.visits.append((access_links.visit(self.service, tried.token, self.now), letter))
        except LinkError:
            return
        (wish,) = self.world.rows("requests", id=letter.request_id)
        assert (letter.token in self.dead, wish["state"]) == (False, "answered")

    @precondition(lambda self: self.visits)
    @rule(n=some, which=some, choice=st.sampled_from((None, "copy_first", "delete_now")), dies_in=dies)
    def withdraws(self, n: int, which: int, choice: Any, dies_in: int) -> None:
        visit, _ = self.one_of(self.visits, n) or (None, None)
        if visit is None or self.lives(visit) is None:
            return
        recording_id = self.recording(which)

        def does() -> None:
            try:
                disclosure.withdraw(self.service, visit, recording_id, choice, self.now)
            except ChoiceNeededError:
                assert choice is None
                raise
            self.took_back([recording_id])

        self.world.act(does, dies_in)
        self.took_back_by_now()
        if choice == "delete_now" and self.gone(recording_id):
            self.kept[recording_id].ordered = True

    @precondition(lambda self: "deleted" not in self.once)
    @rule(which=some, dies_in=dies)
    def officer_deletes(self, which: int, dies_in: int) -> None:
        recording_id = self.recording(which)
        self.once.add("deleted")
        held = [one for one in self.standing() if one["recording_id"] == recording_id and one["kind"] != "access"]

        def does() -> None:
            try:
                erasure.erase(self.service, recording_id, reason="ordered", actor=DPO, now=self.now)
            except HeldError:
                assert held
                raise

        self.world.act(does, dies_in)
        if self.gone(recording_id):
            assert not held or self.kept[recording_id].ordered
            self.kept[recording_id].ordered = True

    @precondition(lambda self: "taken back" not in self.once)
    @rule(which=some)
    def caller_takes_it_back(self, which: int) -> None:
        """A withdrawal in the call that we hear of late: nobody can be asked whether a copy comes first."""
        self.once.add("taken back")
        recording_id = self.recording(which)
        if (
            self.world.act(
                lambda: erasure.erase(self.service, recording_id, reason="withdrawn", actor=SYSTEM, now=self.now)
            )
            == "done"
        ):
            self.took_back([recording_id])

    @rule(which=some, kind=st.sampled_from(("legal", "dispute", "restriction")), days=st.sampled_from((1, 30, 90)))
    def is_held(self, which: int, kind: str, days: int) -> None:
        recording_id, review = self.recording(which), self.now + timedelta(days=days)

        def does() -> None:
            placed = holds.place(self.service, recording_id, kind, "case 7", DPO, self.now, review)
            self.strict[placed.id] = recording_id, kind

        self.world.act(does)

    @precondition(lambda self: self.strict)
    @rule(n=some, dies_in=dies)
    def is_held_no_more(self, n: int, dies_in: int) -> None:
        hold_id = self.one_of(list(self.strict), n)
        if hold_id is not None:
            self.world.act(lambda: holds.release(self.service, hold_id, DPO, self.now), dies_in)
            if all(one["released_at"] for one in self.world.rows("holds", id=hold_id)):
                del self.strict[hold_id]

    @precondition(lambda self: not self.shortened)
    @rule()
    def policy_gets_shorter(self) -> None:
        self.shortened = True
        fewer = self.service.settings.retention.model_copy(update={"private_inbound_days": 30})
        shorter = replace(self.service, settings=self.service.settings.model_copy(update={"retention": fewer}))
        shortening.shorten(shorter, OPERATOR, self.now)
        for one in self.kept.values():
            one.expires_at = min(one.expires_at, max(one.expires_at - timedelta(days=60), self.now))

    @rule(days=st.sampled_from((0, 0, 1, 1, 3, 10, 16, 31)))
    def days_pass(self, days: int) -> None:
        self.world.passes(days) if days else self.world.works()
        self.nothing_leaks()

    # What became of it

    def gone(self, recording_id: str) -> bool:
        row = self.row(recording_id)
        return row is None or row["state"] == "erasing"

    def took_back(self, recording_ids: list[str]) -> None:
        for one in recording_ids:
            self.kept[one].withdrawn = True

    def took_back_by_now(self) -> None:
        """Note withdrawals from the rows: a process that died may have done them."""
        for recording_id, one in self.kept.items():
            row, stones = self.row(recording_id), self.world.rows("tombstones", recording_id=recording_id)
            reasons = {stone["reason"] for stone in stones} | ({row["erase_reason"]} if row else set())
            one.withdrawn |= "withdrawn" in reasons

    def lives(self, visit: Visit) -> Visit | None:
        try:
            return access_links.visit(self.service, visit.cookie, self.now)
        except LinkError:
            return None

    def standing(self) -> Iterator[dict[str, Any]]:
        return (one for one in self.world.rows("holds") if one["released_at"] is None)
