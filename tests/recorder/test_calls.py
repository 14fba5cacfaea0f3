"""What platforms tell us becomes calls, evidence and recordings: once each, in whatever order it comes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from recorder import applying, buttons, calls, capture, erasure, facts, leftovers, personal, settling
from recorder.actors import Actor
from recorder.errors import CallNotFoundError, DirectoryUnavailableError
from recorder.events import Event, encode
from recorder.ports import Customer, Service
from recorder.service import opened
from storage import audit, columns, inbox
from storage.catalogue import blanking, evidence, recordings, source_deletions, tasks
from storage.catalogue import calls as call_rows
from storage.catalogue.calls import Call
from storage.catalogue.recordings import Recording
from storage.clock import rfc3339, utc_day
from tests import rows
from tests.conftest import MovingClock
from tests.recorder.stored import store, store_call

CUSTOMER, LINE, SALES_LINE = "+4520123456", "+4570123456", "+4570123457"
AGENT = Actor("act_1", "agent")
numbers = itertools.count()


def an_event(kind: str, at: datetime, *, call: str = "pbx-81", platform: str = "standard", **data: Any) -> Event:
    return Event(
        kind,  # type: ignore[arg-type] -- a test's shorthand
        platform,
        call,
        f"evt-{next(numbers)}",
        at=at,
        stamped_at=at,
        opens=kind not in {"recording.available", "recording.absent", "recording.failed"},
        data=data,
    )


def started(at: datetime, **data: Any) -> Event:
    call = data.pop("call", "pbx-81")
    ends = {"direction": "inbound", "from": CUSTOMER, "to": LINE}
    return an_event("call.started", at, call=call, **{**ends, **data})


def available(at: datetime, *, recording: str = "rec-1", seconds: int = 60, call: str = "pbx-81") -> Event:
    begun = rfc3339(at - timedelta(seconds=seconds))
    data = {"recording_id": recording, "url": "https://pbx.example/rec-1", "started_at": begun}
    return an_event("recording.available", at, call=call, duration_ms=seconds * 1000, **data)


def tell(service: Service, *events: Event, now: datetime | None = None) -> None:
    """Take events in, one after the other, and apply them together."""
    for event in events:
        ref = inbox.ref(service.keyring, event.platform, event.call_id)
        mark = inbox.dedupe_mark(service.keyring, event.platform, event.key)
        received_at = now or service.clock()
        service.inbox.submit(event.platform, ref, mark, encode(event), received_at).result(10)
    calls.apply_pending(service, service.clock())


def the_call(service: Service, platform_call_id: str = "pbx-81", platform: str = "standard") -> Call:
    with service.database.read() as connection:
        call_id = calls.resolve(service, connection, platform, platform_call_id)
        call = call_rows.get(connection, call_id) if call_id else None
    assert call is not None
    return call


def its_recordings(service: Service, call: Call) -> list[Recording]:
    with service.database.read() as connection:
        return recordings.of_call(connection, call.id)


def open_tasks(service: Service) -> set[tuple[str, str]]:
    with service.database.read() as connection:
        return {(task.kind, task.subject_id) for task in tasks.open_tasks(connection)}


def left_at_source(service: Service, at: datetime) -> list[str]:
    """Why copies are to be deleted at their platforms; takes them on."""
    with service.database.write() as connection:
        claims = iter(lambda: source_deletions.claim(connection, at, at + timedelta(seconds=1)), None)
        return [one.reason for one in claims if one is not None]


def whole_story(clock: MovingClock) -> list[Event]:
    """A call of one minute, a yes after ten seconds."""
    begun = clock.now
    return [
        started(begun),
        an_event("consent.requested", begun + timedelta(seconds=2), method="dtmf", script="inbound-da@1"),
        an_event("consent.granted", begun + timedelta(seconds=10), method="dtmf", digit="1", script="inbound-da@1"),
        an_event("recording.started", begun, recording_id="rec-1"),
        an_event("call.updated", begun + timedelta(seconds=30), agent="a-17", queue="billing", case="c-9"),
        an_event("call.ended", begun + timedelta(seconds=60), ended_at=rfc3339(begun + timedelta(seconds=60))),
        available(begun + timedelta(seconds=60)),
    ]


def test_a_call_becomes_rows_that_show_nothing_of_whose_it_was(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)

    call = the_call(service)
    (recording,) = its_recordings(service, call)

    assert (call.segment, call.line, call.brand, call.queue, call.state) == (
        "private_inbound",
        LINE,
        "flexii",
        "billing",
        "over",
    )
    assert personal.of_call(service, call, clock.now) == {
        "platform_call_id": "pbx-81",
        "from": CUSTOMER,
        "to": LINE,
        "account": "A-1001",
        "agent": "a-17",
        "case": "c-9",
    }
    assert (recording.state, recording.segment, recording.queue) == ("announced", "private_inbound", "billing")
    assert recording.call_started_at == story[0].at
    assert recording.call_ended_at == call.ended_at
    own = personal.of_recording(service, call, recording, clock.now)
    assert (own["platform_recording_id"], own["url"], own["from"]) == ("rec-1", "https://pbx.example/rec-1", CUSTOMER)


def test_a_consent_names_the_script_and_what_it_was_given_for(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)

    call = the_call(service)
    with service.database.read() as connection:
        said = {one.decision: one for one in evidence.consents_of(connection, [call.id])}
        assert facts.purposes(connection, call) == {"quality", "training", "documentation"}
        assert facts.kept_days(service, connection, call) == 90

    assert (said["granted"].script, said["granted"].digit, said["granted"].language) == ("inbound-da@1", "1", "da")


def test_a_consent_that_names_no_script_is_to_the_lines_of_the_day(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now), an_event("consent.granted", clock.now, method="dtmf", digit="1"))

    with service.database.read() as connection:
        (said,) = evidence.consents_of(connection, [the_call(service).id])
    assert said.script == "inbound-da@1"


@pytest.mark.parametrize("seed", range(4))
def test_p6_order_and_repetition_of_events_do_not_matter(service: Service, clock: MovingClock, seed: int) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    order = random.Random(seed)
    shuffled = [*story, *story]
    order.shuffle(shuffled)
    for event in shuffled:
        tell(service, event)

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        decision = facts.decided(service, connection, call, recording, clock.now)
        said = evidence.consents_of(connection, [call.id])

    assert (decision.kind, decision.keep[0][0], len(decision.keep)) == ("keep", 10_000, 1)
    assert len(said) == 2
    assert (call.segment, call.queue, call.state, call.opened) == ("private_inbound", "billing", "over", True)
    assert call.ended_at == story[5].at
    assert open_tasks(service) == set()
    assert left_at_source(service, clock.now) == []


def test_p6_an_event_taken_in_twice_is_applied_once(service: Service, clock: MovingClock) -> None:
    event = an_event("consent.granted", clock.now, method="dtmf", digit="1")
    tell(service, started(clock.now), event, event)
    tell(service, event)

    with service.database.read() as connection:
        assert len(evidence.consents_of(connection, [the_call(service).id])) == 1


def test_p6_a_poisoned_event_blocks_neither_its_call_nor_others(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    poison = an_event("recording.available", clock.now, recording_id="rec-2", started_at="not a time")
    tell(service, story[0], poison, *story[1:], started(clock.now, call="pbx-82"))

    assert len(its_recordings(service, the_call(service))) == 1
    assert the_call(service, "pbx-82").opened
    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]
    with service.database.read() as connection:
        assert service.inbox.oldest(connection, 10) == []


def test_p6_what_could_not_be_applied_is_tried_again_by_the_next_start(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(service, started(clock.now))
    with monkeypatch.context() as broken:
        broken.setitem(applying.HANDLERS, "consent.withdrawn", lambda *_: 1 / 0)
        tell(service, an_event("consent.withdrawn", clock.now, agent="a-17"))
    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]

    with opened(service.settings, clock=clock) as mended:
        calls.apply_pending(mended, clock.now)

    assert open_tasks(service) == set()
    with service.database.read() as connection:
        assert [one.decision for one in evidence.consents_of(connection, [the_call(service).id])] == ["withdrawn"]


def test_p6_a_call_that_cannot_be_written_blocks_no_other_and_is_not_lost(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now))
    rows.refuse(service.database, "UPDATE", "calls", when=f"NEW.id = '{the_call(service).id}'")

    tell(service, an_event("call.ended", clock.now), started(clock.now, call="pbx-82"))

    assert the_call(service, "pbx-82").opened
    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]

    rows.allow(service.database, "calls")
    tell(service)

    assert the_call(service).ended_at is not None


def test_p6_a_body_that_does_not_open_blocks_nothing(service: Service, clock: MovingClock) -> None:
    ref = inbox.ref(service.keyring, "standard", "pbx-81")
    service.inbox.submit("standard", ref, b"mark", b"not an event", clock.now).result(10)
    tell(service, started(clock.now))

    assert the_call(service).opened
    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]


def test_p6_events_of_a_call_whose_key_is_destroyed_are_done_with(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now))
    clock.advance(days=9)
    service.keyring.ensure(clock.now)
    with service.database.write() as connection:
        call_rows.change(connection, the_call(service).id, settle_at=None)
    for key in service.keyring.due_for_destruction(clock.now):
        service.keyring.destroy(key.id, clock.now)

    tell(service, available(clock.now))

    assert left_at_source(service, clock.now) == ["unknown_call"]
    with service.database.read() as connection:
        assert service.inbox.oldest(connection, 10) == []


def test_p6_several_who_apply_at_once_apply_each_event_once(service: Service, clock: MovingClock) -> None:
    events = [
        event
        for number in range(30)
        for event in (
            started(clock.now, call=f"pbx-{number}"),
            an_event("consent.granted", clock.now, call=f"pbx-{number}", method="dtmf", digit="1"),
        )
    ]
    for event in events:
        ref = inbox.ref(service.keyring, event.platform, event.call_id)
        mark = inbox.dedupe_mark(service.keyring, event.platform, event.key)
        service.inbox.submit(event.platform, ref, mark, encode(event), clock.now).result(10)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: calls.apply_pending(service, clock.now), range(4)))

    assert sum(counts) == len(events)
    ids = {the_call(service, f"pbx-{number}").id for number in range(30)}
    with service.database.read() as connection:
        assert len(evidence.consents_of(connection, ids)) == len(ids) == 30
    assert audit.verify(service.database).ok


def test_a_recording_of_a_call_twilio_never_told_us_of_is_deleted_there(service: Service, clock: MovingClock) -> None:
    event = replace(available(clock.now), platform="twilio")
    event.data["by_answer"] = True
    tell(service, event)

    with service.database.read() as connection:
        assert calls.resolve(service, connection, "twilio", "pbx-81") is None
    assert left_at_source(service, clock.now) == ["unknown_call"]


def test_a_recording_that_overtook_its_call_waits_for_it(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, story[-1])

    waiting = the_call(service)
    (recording,) = its_recordings(service, waiting)
    with service.database.read() as connection:
        decision = facts.decided(service, connection, waiting, recording, clock.now)
        later = facts.decided(service, connection, waiting, recording, clock.now + timedelta(hours=2))
    assert not waiting.opened
    assert (decision.kind, later.reason) == ("wait", "unknown_call")

    tell(service, *story[:-1])
    assert the_call(service).id == waiting.id
    assert the_call(service).opened


def test_p3_a_call_that_is_gone_does_not_come_back(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now), an_event("consent.refused", clock.now), an_event("call.ended", clock.now))
    with service.database.read() as connection:
        assert calls.resolve(service, connection, "standard", "pbx-81") is None

    tell(service, started(clock.now), available(clock.now))

    with service.database.read() as connection:
        assert calls.resolve(service, connection, "standard", "pbx-81") is None
    assert left_at_source(service, clock.now) == ["unknown_call"]


def test_p3_a_refused_call_is_blanked_when_it_is_over(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now), an_event("consent.refused", clock.now, agent="a-17"))
    call = the_call(service)
    tell(service, an_event("call.ended", clock.now))

    with service.database.read() as connection:
        blank = call_rows.get(connection, call.id)
        assert evidence.consents_of(connection, [call.id]) == []
    assert blank is not None
    assert (blank.state, blank.ref, blank.sealed, blank.call_key, blank.key_id) == ("blank", None, None, None, None)
    assert blank.segment == "private_inbound"


def test_p3_a_call_nobody_was_asked_in_is_blanked_after_the_deadline(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now), an_event("call.ended", clock.now))
    call = the_call(service)

    clock.advance(seconds=86_399)
    calls.apply_pending(service, clock.now)
    assert the_call(service).state == "over"
    clock.advance(seconds=1)
    calls.apply_pending(service, clock.now)

    with service.database.read() as connection:
        blank = call_rows.get(connection, call.id)
    assert blank is not None
    assert blank.state == "blank"


def test_p3_a_call_that_never_ends_is_over_after_a_day(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now))
    clock.advance(hours=24)
    calls.apply_pending(service, clock.now)
    assert the_call(service).state == "over"
    clock.advance(hours=24)
    calls.apply_pending(service, clock.now)

    with service.database.read() as connection:
        assert calls.resolve(service, connection, "standard", "pbx-81") is None


def test_p3_a_covered_call_lies_under_the_key_of_its_last_day(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)

    call = the_call(service)
    assert call.ended_at is not None
    day = utc_day(call.ended_at + timedelta(days=90))
    assert call.key_id == service.keyring.day_key(day, clock.now).id
    assert personal.of_call(service, call, clock.now)["from"] == CUSTOMER


def test_a_recording_that_was_consented_to_and_never_came_is_shown_to_people(
    service: Service, clock: MovingClock
) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    clock.advance(days=1)
    calls.apply_pending(service, clock.now)

    (recording,) = its_recordings(service, the_call(service))
    assert (recording.state, recording.reason) == ("failed", "never_available")
    assert ("capture_failed", recording.id) in open_tasks(service)


@pytest.mark.parametrize(
    ("told", "number", "customer", "expected"),
    [
        ({"customer_type": "business"}, LINE, CUSTOMER, "business_inbound"),
        ({}, LINE, "+4520123457", "private_inbound"),
        ({}, "+4570999999", "+4520123457", "business_inbound"),
        ({}, "+4570999999", None, None),
        ({}, "+4570999999", "+4599999999", None),
    ],
)
def test_the_class_is_the_events_then_the_lines_then_the_directorys(
    service: Service, clock: MovingClock, told: dict[str, str], number: str, customer: str | None, expected: str | None
) -> None:
    tell(service, started(clock.now, **{"to": number, "from": customer, **told}))

    assert the_call(service).segment == expected


def test_an_outbound_call_is_announced_only_as_a_sales_call(service: Service, clock: MovingClock) -> None:
    outbound = {"direction": "outbound", "to": CUSTOMER, "customer_type": "private"}
    tell(
        service,
        started(clock.now, **outbound, **{"from": SALES_LINE}),
        started(clock.now, **outbound, **{"from": LINE}, call="pbx-82"),
    )

    assert the_call(service).segment == "private_outbound_sales"
    assert the_call(service, "pbx-82").segment is None


def test_a_directory_that_is_away_leaves_the_class_open(service: Service, clock: MovingClock) -> None:
    class Away:
        def by_phone(self, phone: str) -> Customer | None:
            raise DirectoryUnavailableError

        by_account = by_phone

    tell(replace(service, directory=Away()), started(clock.now, to="+4570999999"))

    assert the_call(service).segment is None
    assert settling.classify(service, the_call(service).id, clock.now) == "private_inbound"
    assert the_call(service).segment == "private_inbound"


def test_the_account_is_the_directorys_as_of_the_call_and_asked_only_after_a_yes(
    service: Service, clock: MovingClock
) -> None:
    tell(service, started(clock.now), started(clock.now, call="pbx-82", account="A-7"))
    assert "account" not in personal.of_call(service, the_call(service), clock.now)

    for call in ("pbx-81", "pbx-82"):
        tell(service, an_event("consent.granted", clock.now, call=call, method="dtmf", digit="1"))

    assert personal.of_call(service, the_call(service), clock.now)["account"] == "A-1001"
    assert personal.of_call(service, the_call(service, "pbx-82"), clock.now)["account"] == "A-7"


def test_a_stored_recording_is_found_by_what_is_told_late(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    recording = store(service, clock.now, call=call)
    ref = inbox.ref(service.keyring, "standard", "pbx-81")
    with service.database.write() as connection:
        call_rows.change(connection, call.id, ref=ref)

    tell(service, an_event("call.updated", clock.now, agent="a-17", case="c-9", queue="billing"))
    capture.capture_due(service, clock.now)

    with service.database.read() as connection:
        found = recordings.get(connection, recording.id)
        key = service.keyring.key(recording.key_id or "", clock.now)
        for kind, value in (("agent", "a-17"), ("case", "c-9"), ("phone", CUSTOMER)):
            assert [one.id for one in recordings.find_marked(connection, [columns.mark(key, kind, value)])] == [
                recording.id
            ]
    assert found is not None
    assert found.queue == "billing"
    own = personal.of_recording(service, call, found, clock.now)
    assert (own["agent"], own["phone"], own["platform_recording_id"]) == ("a-17", CUSTOMER, "r-1")


def test_a_withheld_number_is_kept_as_none(service: Service, clock: MovingClock) -> None:
    tell(service, started(clock.now, **{"from": None}))

    call = the_call(service)
    assert call.segment == "private_inbound"
    assert personal.of_call(service, call, clock.now).get("from") is None


def test_a_transferred_leg_belongs_to_its_call(service: Service, clock: MovingClock) -> None:
    put_through = an_event(
        "call.transferred", clock.now, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent", "number": None}
    )
    tell(service, started(clock.now))
    tell(service, put_through, available(clock.now, call="pbx-82"))

    assert the_call(service, "pbx-82").id == the_call(service).id
    (recording,) = its_recordings(service, the_call(service))
    own = personal.of_recording(service, the_call(service), recording, clock.now)
    assert (own["platform_call_id"], own["from"]) == ("pbx-82", CUSTOMER)


def test_p1_what_is_withdrawn_in_a_linked_call_is_withdrawn_in_both(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *[replace(one, at=one.at) for one in whole_story(MovingClock(begun))])
    child = started(begun, call="pbx-82")
    linked = an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"})
    withdrawn = an_event("consent.withdrawn", clock.now, call="pbx-82")
    tell(service, child)
    tell(service, linked, withdrawn)

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert facts.decided(service, connection, call, recording, clock.now).reason == "withdrawn"


def test_p1_a_withdrawal_in_a_linked_call_reaches_what_is_stored_and_outlives_that_call(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *[replace(one, at=one.at) for one in whole_story(MovingClock(begun))])
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored", next_try_at=None)
    tell(service, started(begun, call="pbx-82"))
    child = the_call(service, "pbx-82")
    tell(
        service,
        an_event("party.joined", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("consent.withdrawn", clock.now, call="pbx-82", agent="a-17"),
        an_event("call.ended", clock.now, call="pbx-82"),
    )

    (recording,) = its_recordings(service, the_call(service))
    assert recording.next_try_at == clock.now
    with service.database.read() as connection:
        gone = call_rows.get(connection, child.id)
        assert gone is not None
        assert gone.state == "blank"
        assert facts.decided(service, connection, the_call(service), recording, clock.now).reason == "withdrawn"
        assert [one.sealed for one in evidence.consents_of(connection, [the_call(service).id])].count(None) == 1


def test_p1_a_withdrawal_outlives_its_call_before_anything_is_recorded_of_the_one_it_went_on_in(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    yes = {"method": "dtmf", "digit": "1", "script": "inbound-da@1"}
    tell(service, started(begun), an_event("consent.granted", begun, **yes))
    linked(service, begun)
    tell(service, an_event("consent.granted", clock.now, call="pbx-82", **yes))
    first = the_call(service).id
    clock.advance(seconds=20)
    tell(service, an_event("consent.withdrawn", clock.now), an_event("call.ended", clock.now))
    clock.advance(seconds=60)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, first), "state", None) == "blank"
    tell(service, an_event("call.ended", clock.now, call="pbx-82"), available(clock.now, seconds=80, call="pbx-82"))

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert facts.decided(service, connection, call, recording, clock.now).reason == "withdrawn"


def keep(service: Service, clock: MovingClock) -> tuple[tuple[int, int], ...]:
    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        return facts.decided(service, connection, call, recording, clock.now).keep


@pytest.mark.parametrize(
    ("party", "first_stop"),
    [
        ({"role": "outside", "number": "+4511111111"}, 20_000),
        ({"role": "customer", "number": "+4511111111"}, 20_000),
        ({"role": "customer", "number": CUSTOMER}, None),
        ({"role": "agent", "number": "+4511111111"}, None),
    ],
)
def test_p1_only_whom_the_yes_does_not_speak_for_ends_coverage(
    service: Service, clock: MovingClock, party: dict[str, str], first_stop: int | None
) -> None:
    story = whole_story(clock)
    joined = an_event("party.joined", clock.now + timedelta(seconds=20), party=party)
    left = an_event("party.left", clock.now + timedelta(seconds=30), party=party)
    clock.advance(seconds=61)
    tell(service, *story, left, joined)

    stops = [stop for _, stop in keep(service, clock)]
    assert (stops[0] if len(stops) > 1 else None) == first_stop


def test_p1_of_two_outsiders_nobody_can_tell_apart_none_is_known_to_have_left(
    service: Service, clock: MovingClock
) -> None:
    story, party = whole_story(clock), {"role": "outside", "number": None}
    moves = [
        an_event(kind, clock.now + timedelta(seconds=when), party=party)
        for kind, when in (("party.joined", 20), ("party.joined", 25), ("party.left", 30))
    ]
    clock.advance(seconds=61)
    tell(service, *story, *moves)

    assert keep(service, clock) == ((10_000, 20_000),)


def test_p1_of_two_customers_nobody_can_tell_apart_none_is_known_to_have_left(
    service: Service, clock: MovingClock
) -> None:
    """The one the call is with is never announced: whoever leaves may be that one."""
    story, party = whole_story(clock), {"role": "customer", "number": None}
    joined = an_event("party.joined", clock.now + timedelta(seconds=20), party=party)
    left = an_event("party.left", clock.now + timedelta(seconds=30), party=party)
    clock.advance(seconds=61)
    tell(service, *story, joined, left)

    assert keep(service, clock) == ((10_000, 20_000),)


OTHER = "+4599887766"
AGENTS_PHONE = "+4522222222"


@pytest.mark.parametrize(
    ("to", "agent", "kept"), [(OTHER, None, False), (CUSTOMER, None, True), (AGENTS_PHONE, AGENTS_PHONE, True)]
)
def test_p1_a_yes_does_not_speak_for_the_customer_of_a_linked_call(
    service: Service, clock: MovingClock, to: str, agent: str | None, kept: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    called = {"direction": "outbound", "from": SALES_LINE, "to": to, "customer_type": "private", "call_kind": "sales"}
    party = {"role": "agent", "number": agent}
    at = begun + timedelta(seconds=20)
    tell(service, an_event("call.started", at, call="pbx-82", **called))
    tell(
        service,
        an_event("call.transferred", at, call="pbx-82", parent_call_id="pbx-81", party=party),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=41, call="pbx-82"),
    )

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        decided = facts.decided(service, connection, call, recording, clock.now)
    assert (decided.kind, decided.keep) == (("keep", ((0, 1 << 40),)) if kept else ("wait", ()))


def test_p1_a_call_is_not_blanked_while_nobody_has_decided_whom_its_yes_covers(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun))[:3], an_event("call.ended", clock.now))  # nothing was recorded of it
    called = {
        "direction": "outbound",
        "from": SALES_LINE,
        "to": OTHER,
        "customer_type": "private",
        "call_kind": "sales",
    }
    tell(service, an_event("call.started", begun, call="pbx-82", **called))
    clock.advance(seconds=60)
    tell(
        service,
        an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=100, call="pbx-82"),
    )
    (recording,) = its_recordings(service, the_call(service, "pbx-82"))
    for seconds in (86_341, 60):  # the deadline of the first call, of the second
        clock.advance(seconds=seconds)
        service.keyring.ensure(clock.now)
        calls.apply_pending(service, clock.now)

    with service.database.read() as connection:
        decided = facts.decided(service, connection, the_call(service, "pbx-82"), recording, clock.now)
    assert (decided.kind, decided.reason) == ("discard", "no_consent")
    capture.capture_due(service, clock.now)
    parent = the_call(service).id
    clock.advance(seconds=301)
    calls.apply_pending(service, clock.now)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, parent), "state", None) == "blank"


@pytest.mark.parametrize(("to", "kept"), [(OTHER, False), (CUSTOMER, True)])
def test_p1_erasing_a_call_gives_its_yes_to_nobody_whom_it_does_not_speak_for(
    service: Service, clock: MovingClock, to: str, kept: bool
) -> None:
    begun = clock.now
    clock.advance(seconds=61)
    tell(service, *whole_story(MovingClock(begun)))
    (first,) = its_recordings(service, the_call(service))
    parent = the_call(service).id
    called = {"direction": "outbound", "from": SALES_LINE, "to": to, "customer_type": "private", "call_kind": "sales"}
    at = begun + timedelta(seconds=20)
    tell(service, an_event("call.started", at, call="pbx-82", **called))
    tell(
        service,
        an_event("call.transferred", at, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("call.ended", clock.now, call="pbx-82"),
        available(clock.now, recording="rec-2", seconds=41, call="pbx-82"),
    )
    with service.database.write() as connection:
        recordings.change(connection, first.id, state="stored", next_try_at=None)
    erasure.erase(service, first.id, reason="ordered", actor=Actor("act_2", "dpo"), now=clock.now)

    call = the_call(service, "pbx-82")
    (recording,) = its_recordings(service, call)
    with service.database.write() as connection:
        decided = facts.decided(service, connection, call, recording, clock.now)
        recordings.change(connection, recording.id, state="discarded")
    assert decided.kind == ("keep" if kept else "wait")
    clock.advance(days=1)
    calls.apply_pending(service, clock.now)
    with service.database.read() as connection:
        assert getattr(call_rows.get(connection, parent), "state", None) == "blank"


@pytest.mark.parametrize("together", [False, True])
def test_p1_a_call_named_before_its_own_start_is_no_part_of_the_one_it_came_out_of(
    service: Service, clock: MovingClock, together: bool
) -> None:
    """What its customer agrees to does not cover whoever was recorded before."""
    begun = clock.now
    tell(service, started(begun), an_event("recording.started", begun, recording_id="rec-1"))
    moved = an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"})
    called = {"direction": "outbound", "from": SALES_LINE, "to": OTHER, "customer_type": "private"}
    rest = [
        an_event("call.started", begun, call="pbx-82", **called),
        an_event("consent.granted", begun + timedelta(seconds=1), call="pbx-82", method="verbal"),
    ]
    clock.advance(seconds=61)
    if not together:
        tell(service, moved)
        assert the_call(service, "pbx-82") == the_call(service)
    tell(service, *([moved] if together else []), *rest, an_event("call.ended", clock.now), available(clock.now))
    calls.apply_pending(service, clock.now)

    call, other = the_call(service), the_call(service, "pbx-82")
    assert other.id != call.id
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert call_rows.family(connection, call.id) == {call.id, other.id}
        assert [one.call_id for one in evidence.consents_of(connection, {call.id, other.id})] == [other.id]
        assert facts.decided(service, connection, call, recording, clock.now).kind == "wait"


def test_p1_the_customer_of_a_linked_call_who_joins_ends_coverage(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    called = {"direction": "outbound", "from": SALES_LINE, "to": OTHER, "customer_type": "private"}
    tell(service, an_event("call.started", begun, call="pbx-82", **called))
    party = {"role": "customer", "number": OTHER}
    tell(
        service,
        an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party={"role": "agent"}),
        an_event("party.joined", begun + timedelta(seconds=40), party=party),
    )

    assert keep(service, clock) == ((10_000, 40_000),)


def linked(service: Service, begun: datetime) -> None:
    """The call is put through, and goes on under another id; so does its recording."""
    tell(service, started(begun, call="pbx-82"))
    party = {"role": "agent", "number": None}
    tell(service, an_event("call.transferred", begun, call="pbx-82", parent_call_id="pbx-81", party=party))


def test_p1_calls_stay_linked_when_the_one_between_them_goes(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    linked(service, begun)
    party = {"role": "agent", "number": None}
    tell(service, started(begun, call="pbx-83"))
    tell(service, an_event("call.transferred", begun, call="pbx-83", parent_call_id="pbx-82", party=party))
    ends = [an_event("call.ended", clock.now, call=name) for name in ("pbx-82", "pbx-83")]
    tell(service, *ends, available(clock.now, recording="rec-3", call="pbx-83"))
    between, last = the_call(service, "pbx-82"), the_call(service, "pbx-83")
    (recording,) = its_recordings(service, last)
    with service.database.write() as connection:
        blanking.blank_calls(connection, [between.id], clock.now)
        assert facts.decided(service, connection, last, recording, clock.now).kind == "keep"
        recordings.change(connection, recording.id, state="stored", next_try_at=None)

    tell(service, an_event("consent.withdrawn", clock.now))
    (recording,) = its_recordings(service, last)
    assert recording.next_try_at == clock.now
    with service.database.read() as connection:
        assert facts.decided(service, connection, last, recording, clock.now).reason == "withdrawn"


def test_p1_what_is_told_of_a_recording_under_the_id_its_call_went_on_in_counts(
    service: Service, clock: MovingClock
) -> None:
    begun = clock.now
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    linked(service, begun)
    edges = [
        an_event(f"recording.{edge}", begun + timedelta(seconds=when), call="pbx-82", recording_id="rec-1")
        for edge, when in (("paused", 20), ("resumed", 30))
    ]
    tell(service, *edges, available(clock.now, seconds=61, call="pbx-82"))

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        decided = facts.decided(service, connection, call, recording, clock.now)
    assert decided.mute == ((20_000, 30_000),)
    assert personal.of_recording(service, call, recording, clock.now)["url"] == "https://pbx.example/rec-1"
    tell(service, an_event("consent.withdrawn", clock.now, call="pbx-82", recording_id="rec-1", offset_ms=40_000))
    with service.database.read() as connection:
        assert facts.decided(service, connection, call, recording, clock.now).reason == "withdrawn"
    assert open_tasks(service) == set()


def test_p1_an_agents_pause_holds_for_what_is_recorded_of_a_linked_call(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    yes = an_event("consent.granted", begun, method="dtmf", digit="1", script="inbound-da@1")
    tell(service, started(begun), yes, an_event("recording.started", begun, recording_id="rec-1"))
    linked(service, begun)
    clock.advance(seconds=20)
    buttons.pause(service, "pbx-82", actor=AGENT, now=clock.now)
    clock.advance(seconds=20)
    buttons.resume(service, "pbx-82", actor=AGENT, now=clock.now)
    clock.advance(seconds=21)
    tell(service, an_event("call.ended", clock.now), available(clock.now, seconds=61))

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert facts.decided(service, connection, call, recording, clock.now).mute == ((18_000, 42_000),)
    child = the_call(service, "pbx-82")
    with service.database.write() as connection:  # and outlives the call it was pressed in
        call_rows.change(connection, child.id, state="over")
        blanking.blank_calls(connection, [child.id], clock.now)
        assert facts.decided(service, connection, call, recording, clock.now).mute == ((18_000, 42_000),)


def test_p1_a_yes_as_an_offset_counts_on_the_recordings_own_time(service: Service, clock: MovingClock) -> None:
    begun = clock.now
    offset = an_event(
        "consent.granted", begun + timedelta(seconds=55), method="verbal", offset_ms=7_500, recording_id="rec-1"
    )
    story = [one for one in whole_story(clock) if one.type != "consent.granted"]
    clock.advance(seconds=61)
    tell(service, offset, *story)

    assert keep(service, clock)[0][0] == 7_500


def test_p1_who_started_a_recording_is_what_the_least_of_its_events_says(service: Service, clock: MovingClock) -> None:
    twilio = [replace(started(clock.now), platform="twilio", clock="service", stamped_at=None)]
    causes: list[tuple[str, Any, Any]] = [("RE1", True, False), ("RE2", True, "maybe"), ("RE3", True, True)]
    for sid, first, second in causes:
        for kind, cause in (("recording.started", first), ("recording.available", second)):
            event = an_event(kind, clock.now, platform="twilio", recording_id=sid, by_answer=cause)
            twilio.append(replace(event, opens=False))
    tell(service, *twilio)

    found = its_recordings(service, the_call(service, platform="twilio"))
    assert sorted((one.by_answer, one.maybe_by_answer) for one in found) == [
        (False, False),
        (False, True),
        (True, False),
    ]


def test_p1_a_late_act_has_stored_recordings_looked_at_again(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)
    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="stored", next_try_at=None)

    tell(service, an_event("consent.granted", clock.now, method="verbal"))
    assert its_recordings(service, call)[0].next_try_at is None
    tell(service, an_event("recording.paused", clock.now, recording_id="rec-1"))
    assert its_recordings(service, call)[0].next_try_at == clock.now


def test_p1_audio_that_turns_up_after_a_discard_is_deleted_at_its_source(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story[:-1])
    (recording,) = its_recordings(service, the_call(service))
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="discarded")

    tell(service, story[-1])

    assert left_at_source(service, clock.now) == ["gone"]
    assert its_recordings(service, the_call(service))[0].available_at is None


@pytest.mark.parametrize(("kind", "tasked"), [("recording.absent", False), ("recording.failed", True)])
def test_nothing_to_fetch_is_discarded(service: Service, clock: MovingClock, kind: str, tasked: bool) -> None:
    tell(service, started(clock.now), an_event(kind, clock.now, recording_id="rec-1", reason="x"))

    (recording,) = its_recordings(service, the_call(service))
    assert recording.state == "discarded"
    assert (("platform_failed", recording.id) in open_tasks(service)) == tasked


def test_an_end_in_the_future_is_taken_as_now(service: Service, clock: MovingClock) -> None:
    far = rfc3339(clock.now + timedelta(minutes=9))
    tell(service, started(clock.now), an_event("call.ended", clock.now, ended_at=far))

    assert the_call(service).ended_at == clock.now


def test_the_skew_is_bounded_by_the_fastest_event(service: Service, clock: MovingClock) -> None:
    sent = clock.now
    tell(service, started(sent), now=sent + timedelta(seconds=3))
    tell(service, an_event("call.updated", sent, queue="q"), now=sent + timedelta(milliseconds=200))

    assert the_call(service).skew_us == 200_000


@pytest.mark.parametrize(
    ("press", "word"), [(buttons.consent, "granted"), (buttons.stop, "withdrawn")], ids=["consent", "stop"]
)
def test_an_agents_button_is_an_answer_by_our_clock(
    service: Service, clock: MovingClock, press: Callable[..., str], word: str
) -> None:
    tell(service, started(clock.now))
    call_id = press(service, "pbx-81", actor=AGENT, now=clock.now)

    with service.database.read() as connection:
        (said,) = evidence.consents_of(connection, [call_id])
    assert (said.decision, said.clock, said.at) == (word, "service", clock.now)
    assert call_id == the_call(service).id


def test_a_button_pressed_before_its_call_is_applied_finds_it(service: Service, clock: MovingClock) -> None:
    event = started(clock.now)
    call_ref = inbox.ref(service.keyring, event.platform, event.call_id)
    mark = inbox.dedupe_mark(service.keyring, event.platform, event.key)
    service.inbox.submit(event.platform, call_ref, mark, encode(event), clock.now).result(10)

    assert buttons.stop(service, "pbx-81", actor=AGENT, now=clock.now) == the_call(service).id


def test_an_agents_pause_holds_for_every_recording_of_the_call(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    begun = clock.now
    tell(service, story[0])
    buttons.pause(service, "pbx-81", actor=AGENT, now=begun + timedelta(seconds=20))
    buttons.resume(service, "pbx-81", actor=AGENT, now=begun + timedelta(seconds=30))
    clock.advance(seconds=61)
    tell(service, *story[1:])

    call = the_call(service)
    (recording,) = its_recordings(service, call)
    with service.database.read() as connection:
        assert facts.decided(service, connection, call, recording, clock.now).mute == ((18_000, 32_000),)


def test_a_button_of_an_unknown_call_is_refused(service: Service, clock: MovingClock) -> None:
    with pytest.raises(CallNotFoundError):
        buttons.stop(service, "pbx-81", actor=AGENT, now=clock.now)


def test_p5_every_act_of_a_call_is_in_the_log_without_anything_personal(service: Service, clock: MovingClock) -> None:
    story = whole_story(clock)
    clock.advance(seconds=61)
    tell(service, *story)

    log = "\n".join(audit.export(service.database))
    for kind in ("call.opened", "consent.requested", "consent.granted", "recording.announced", "call.ended"):
        assert f'"type":"{kind}"' in log
    for secret in (CUSTOMER, "pbx-81", "a-17", "c-9", "rec-1"):
        assert secret not in log
    assert audit.verify(service.database).ok


def test_a_recordings_ref_is_never_a_calls(service: Service) -> None:
    assert leftovers.recording_ref(service, "standard", "x") != inbox.ref(service.keyring, "standard", "x")
