"""Two calls, one come out of the other, told in any order and more than once: nobody is heard who had not agreed.

What each recording may hold is worked out by the pure rules from the whole set of what was told. Between any two
events calls are settled, parted and blanked, and recordings kept, narrowed and discarded, as they would be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorder import personal
from recorder.calls.announcing import recording_ref
from recorder.calls.family import Family
from recorder.consent import CallFacts, ConsentFact, Decision, RecordingFacts, decide, narrowed
from recorder.consent.spans import Spans, intersect
from recorder.erasure.discarding import discard
from recorder.events import Event
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from storage.catalogue import recordings
from tests.conftest import BEGINNING, MovingClock
from tests.recorder.telling import CUSTOMER, OTHER, SALES_LINE, an_event, available, started, tell

LASTED, MUCH_LATER = 60, timedelta(days=2)
RULES: dict[str, Any] = {"deadline_s": 86_400, "wait_for_end_s": 60, "pauses": "mute"}
runs = itertools.count()

calls_, moments = st.sampled_from("ab"), st.integers(6, LASTED - 1)
yeses = st.lists(st.tuples(calls_, st.just("granted"), moments), min_size=1, max_size=2)
noes = st.lists(st.tuples(calls_, st.sampled_from(["refused", "withdrawn", "unanswered"]), moments), max_size=1)
# What comes in after all else, by the call that tells of it: what links calls, or says whose they are, matters then.
late = st.sets(st.tuples(calls_, st.sampled_from(["call.started", "link"])), max_size=2)
links = st.tuples(st.sampled_from(["call.transferred", "party.joined"]), st.sampled_from(["ab", "ba"]))


@dataclass(frozen=True)
class Story:
    """Call a is one of a customer's; call b goes out, to the same customer or another."""

    run: int
    begun: datetime
    same: bool
    recorded: str
    answers: Sequence[tuple[str, str, int]]
    links: Sequence[tuple[str, str]]

    def events(self) -> list[Event]:
        end = self.begun + timedelta(seconds=LASTED)
        party = {"role": "agent", "number": None}
        out = {"direction": "outbound", "from": SALES_LINE, "to": CUSTOMER if self.same else OTHER}
        out |= {"customer_type": "private", "call_kind": "sales"}
        found = [started(self.begun, call=self.name("a")), started(self.begun, call=self.name("b"), **out)]
        for kind, (teller, named) in self.links:
            own, parent = self.name(teller), self.name(named)
            found.append(an_event(kind, self.begun, call=own, parent_call_id=parent, party=party))
        for call, word, when in self.answers:
            at = self.begun + timedelta(seconds=when)
            found.append(an_event(f"consent.{word}", at, call=self.name(call), method="verbal"))
        found += [an_event("call.ended", end, call=self.name(call)) for call in "ab"]
        for call in self.recorded:
            name, recording = self.name(call), self.name("r" + call)
            found.append(an_event("recording.started", self.begun, call=name, recording_id=recording))
            found.append(available(end, call=name, recording=recording, seconds=LASTED))
        return found

    def name(self, of: str) -> str:
        return f"{of}-{self.run}"

    def may_be_kept(self, call: str) -> Spans:
        """A yes speaks for the customer who gave it, a no for everybody."""
        said = [
            ConsentFact(word, self.begun + timedelta(seconds=when), "platform", self.begun, "verbal")
            for teller, word, when in self.answers
            if word != "granted" or self.same or teller == call
        ]
        end = self.begun + timedelta(seconds=LASTED)
        known = CallFacts("private_inbound", ended_at=end, skew_us=0, consents=frozenset(said))
        recording = RecordingFacts(self.begun, available_at=end, duration_ms=LASTED * 1000)
        return decide(known, recording, now=end + MUCH_LATER, **RULES).keep


@dataclass
class Keeper:
    """Does with recordings what capture and narrowing do, the audio excepted."""

    service: Service
    kept: dict[str, Decision] = field(default_factory=dict)

    def heard(self, name: str) -> Spans:
        return self.kept[name].keep if name in self.kept else ()

    def look(self, names: Sequence[str], now: datetime) -> None:
        for name in names:
            with self.service.database.write() as connection:
                ref = recording_ref(self.service, "standard", name)
                recording = recordings.by_ref(connection, ref)
                call = None if recording is None else call_rows.get(connection, recording.call_id)
                if recording is None or call is None or recording.next_try_at is None:
                    continue
                found = Family(connection, call).decided(self.service, recording, now)
                if recording.state == "stored":
                    found = narrowed(self.kept[name], found)
                if found.kind == "keep":
                    self.kept[name] = found
                    recordings.change(connection, recording.id, state="stored", next_try_at=None)
                elif found.kind == "discard":
                    self.kept.pop(name, None)
                    data = personal.of_recording(self.service, call, recording, now)
                    discard(self.service, connection, recording, data, found.reason, now)


stories = st.builds(
    Story,
    st.builds(lambda: next(runs)),
    st.just(BEGINNING - timedelta(seconds=LASTED + 1)),
    st.booleans(),
    st.sampled_from(["ab", "a", "b"]),
    st.builds(lambda yes, no: yes + no, yeses, noes),
    st.lists(links, min_size=1, max_size=2),
)


A_STORY = Story(-1, BEGINNING - timedelta(seconds=LASTED + 1), False, "a", [], [("call.transferred", "ba")])
B_STARTS = ("b", "call.started")


class AsListed(Random):
    def shuffle(self, x: MutableSequence[Any]) -> None:
        pass


def breaths(events: list[Event], sizes: list[int]) -> Iterator[list[Event]]:
    """What is told is applied so many at a time."""
    for size in itertools.cycle(sizes):
        if not events:
            return
        yield events[:size]
        events = events[size:]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stories,
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    late,
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 30), max_size=3),
)
@example(replace(A_STORY, answers=[("a", "granted", 9), ("b", "refused", 30)]), [1], {("b", "link")}, AsListed(), [])
@example(replace(A_STORY, run=-2, answers=[("b", "granted", 9)]), [1], {B_STARTS}, AsListed(), [])
@example(replace(A_STORY, run=-3, recorded="b", answers=[("a", "granted", 9)]), [1], {B_STARTS}, AsListed(), [])
def test_p1_in_whatever_order_linked_calls_are_told_nobody_is_heard_who_had_not_agreed(
    service: Service, clock: MovingClock, story: Story, sizes: Any, late: Any, random: Random, repeated: Any
) -> None:
    events = story.events()
    again = [events[number % len(events)] for number in repeated]
    events += [replace(one, key=f"{one.key}-again-{number}") for number, one in enumerate(again)]
    random.shuffle(events)
    events.sort(key=lambda one: (one.call_id[0], "link" if "parent_call_id" in one.data else one.type) in late)
    keeper, names = Keeper(service), [story.name("ra"), story.name("rb")]

    for told in breaths(events, sizes):
        tell(service, *told)
        keeper.look(names, clock.now)
    keeper.look(names, clock.now + MUCH_LATER)

    for call in story.recorded:
        heard, may = keeper.heard(story.name("r" + call)), story.may_be_kept(call)
        assert intersect(heard, may) == heard


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(stories, st.randoms(use_true_random=False))
def test_p1_linked_calls_told_in_one_breath_are_decided_by_all_of_it(
    service: Service, clock: MovingClock, story: Story, random: Any
) -> None:
    events = story.events()
    random.shuffle(events)
    keeper, names = Keeper(service), [story.name("ra"), story.name("rb")]

    tell(service, *events)
    keeper.look(names, clock.now + MUCH_LATER)

    for call in story.recorded:
        assert keeper.heard(story.name("r" + call)) == story.may_be_kept(call)
