"""What platforms tell us becomes calls and evidence: once each, in whatever order it comes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from recorder import calls, capture, personal, scripts
from recorder.actors import SYSTEM
from recorder.calls import applying, intake
from recorder.calls.family import Family
from recorder.ports import Service
from recorder.service import opened
from storage import audit, columns, inbox
from storage.catalogue import calls as call_rows
from storage.catalogue import evidence, recordings
from storage.clock import rfc3339, utc_day
from tests import rows
from tests.conftest import MovingClock
from tests.recorder.stored import store, store_call
from tests.recorder.telling import (
    CUSTOMER,
    LINE,
    an_event,
    available,
    its_recordings,
    left_at_source,
    open_tasks,
    started,
    tell,
    the_call,
    whole_story,
)


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
        assert Family(connection, call).purposes == {"quality", "training", "documentation"}
        assert Family(connection, call).kept_days(service) == 90

    assert (said["granted"].script, said["granted"].digit, said["granted"].language) == ("inbound-da@1", "1", "da")


def test_p3_of_two_yeses_the_shorter_time_and_what_both_were_given_for_count(
    service: Service, clock: MovingClock
) -> None:
    texts = 'inform = "Må vi optage?"\nchoose = "Tryk 1."\ngranted = "Tak: {days} dage."\nrefused = "Fint."\n'
    shorter = 'name = "inbound-da"\nlanguage = "da"\npurposes = ["quality"]\nretention_days = 30\n[texts]\n' + texts
    with service.database.write() as connection:
        scripts.add_toml(connection, shorter, clock.now, actor=SYSTEM)
        scripts.approve(connection, "inbound-da@2", "the DPO", clock.now, actor=SYSTEM)
    again = {"method": "dtmf", "digit": "1", "script": "inbound-da@2"}
    story = [*whole_story(clock), an_event("consent.granted", clock.now + timedelta(seconds=20), **again)]
    clock.advance(seconds=61)
    tell(service, *story)

    with service.database.read() as connection:
        family = Family(connection, the_call(service))
        assert (family.kept_days(service), family.purposes) == (30, {"quality"})


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
        decision = Family(connection, call).decided(service, recording, clock.now)
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
    assert open_tasks(service) == set()


def test_p6_calls_that_cannot_be_written_keep_no_newer_one_waiting(service: Service, clock: MovingClock) -> None:
    stuck = [f"pbx-stuck-{number}" for number in range(4)]
    tell(service, *(started(clock.now, call=call) for call in stuck))
    ids = ", ".join(f"'{the_call(service, call).id}'" for call in stuck)
    rows.refuse(service.database, "UPDATE", "calls", when=f"NEW.id IN ({ids})")
    tell(service, *(an_event("call.ended", clock.now, call=call) for call in stuck))
    clock.advance(seconds=1)

    intake.submit(service, started(clock.now, call="pbx-82"), clock.now).result(10)
    calls.apply_pending(service, clock.now, limit=2)

    assert the_call(service, "pbx-82").opened


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
        intake.submit(service, event, clock.now).result(10)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: calls.apply_pending(service, clock.now).applied, range(4)))

    assert sum(counts) == len(events)
    ids = {the_call(service, f"pbx-{number}").id for number in range(30)}
    with service.database.read() as connection:
        assert len(evidence.consents_of(connection, ids)) == len(ids) == 30
    assert audit.verify(service.database).ok


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


def test_an_end_in_the_future_is_taken_as_now(service: Service, clock: MovingClock) -> None:
    far = rfc3339(clock.now + timedelta(minutes=9))
    tell(service, started(clock.now), an_event("call.ended", clock.now, ended_at=far))

    assert the_call(service).ended_at == clock.now


def test_the_skew_is_bounded_by_the_fastest_event(service: Service, clock: MovingClock) -> None:
    sent = clock.now
    tell(service, started(sent), now=sent + timedelta(seconds=3))
    tell(service, an_event("call.updated", sent, queue="q"), now=sent + timedelta(milliseconds=200))

    assert the_call(service).skew_us == 200_000


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
