"""Requests: what they match, hold and let go of, by when they are answered, and what an approval does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import func, select

from recorder import access_links, erasure, subject_requests, sweep
from recorder.actors import SYSTEM
from recorder.capture import pushing
from recorder.errors import ConflictError, ConsentMissingError, InvalidInputError, LinkError, RequestNotFoundError
from recorder.ports import Service
from recorder.subject_requests import course, matching
from recorder.subject_requests.listing import open_requests
from storage.catalogue import calls, holds, recordings, tasks
from storage.tables import metadata
from tests.api.conftest import House, speech
from tests.conftest import MovingClock
from tests.recorder.asking import (
    DPO,
    PHONE,
    ask,
    granted,
    link_rows,
    mails,
    many,
    matches,
    request_row,
    stored,
    token,
    visiting,
)
from tests.recorder.post import deliver_due


def held(service: Service, recording_id: str) -> list[str]:
    with service.database.read() as connection:
        return [hold.kind for hold in holds.standing(connection, [recording_id]).get(recording_id, [])]


def state(service: Service, recording_id: str) -> str:
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
    return row.state if row else "gone"


def approve(service: Service, clock: MovingClock, request_id: str, *recording_ids: str) -> None:
    subject_requests.approve(service, request_id, recording_ids, "callback", DPO, clock())


def test_a_request_finds_by_number_account_and_call(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    stored(service, clock, "pbx-2", **{"from": "+4520123457", "account": "A-1002"})
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
    assert row is not None

    for about in ({"phone": "20 12 34 56"}, {"account": "A-1001"}, {"call": "pbx-1"}, {"call": row.call_id}):
        found = matches(service, ask(service, clock, **about).id)
        assert [(one.recording_id, one.ticked, one.doubt) for one in found] == [(recording_id, True, None)]
    assert matches(service, ask(service, clock, phone="+4520999999").id) == []


def test_who_withheld_their_number_is_found_by_their_call(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock, **{"from": None}, account=None)  # type: ignore[arg-type] -- withheld

    for about, found in (({"call": "pbx-1"}, [recording_id]), ({"phone": PHONE}, [])):
        assert [one.recording_id for one in matches(service, ask(service, clock, **about).id)] == found


@pytest.mark.parametrize(
    "about", [{}, {"phone": PHONE, "account": "A-1001"}, {"phone": "no number"}, {"call": "x" * 300}]
)
def test_a_request_names_exactly_one_thing(service: Service, clock: MovingClock, about: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        subject_requests.open_request(service, "access", **about, actor=DPO, now=clock())  # type: ignore[arg-type]  # what is wrong is meant


def test_a_request_is_of_a_known_kind_and_not_from_the_future(service: Service, clock: MovingClock) -> None:
    with pytest.raises(InvalidInputError):
        subject_requests.open_request(service, "curiosity", phone=PHONE, actor=DPO, now=clock())
    with pytest.raises(InvalidInputError):
        subject_requests.open_request(
            service, "access", phone=PHONE, received_at=clock() + timedelta(hours=1), actor=DPO, now=clock()
        )


def test_the_month_counts_from_receipt(service: Service, clock: MovingClock) -> None:
    received = clock() - timedelta(days=5)
    request = subject_requests.open_request(
        service, "access", phone=PHONE, received_at=received, actor=DPO, now=clock()
    )
    assert request.received_at == received
    assert request.due_at.date().isoformat() == "2026-09-29"

    subject_requests.extend(service, request.id, DPO, clock())
    assert request_row(service, request.id).due_at.date().isoformat() == "2026-11-29"
    with pytest.raises(ConflictError):
        subject_requests.extend(service, request.id, DPO, clock())


def test_p4_a_number_that_changed_hands_comes_unticked(service: Service, clock: MovingClock) -> None:
    stored(service, clock, account="A-0999")
    (found,) = matches(service, ask(service, clock).id)
    assert (found.ticked, found.doubt) == (False, "account_changed")


def test_an_open_request_holds_exactly_its_matches(service: Service, clock: MovingClock) -> None:
    mine = stored(service, clock)
    other = stored(service, clock, "pbx-2", **{"from": "+4520123457", "account": "A-1002"})
    clock.advance(days=89)
    service.keyring.ensure(clock())
    request = ask(service, clock)
    assert (held(service, mine), held(service, other)) == (["access"], [])

    clock.advance(days=2)
    sweep.sweep(service, clock(), unattended=False, actor=DPO)
    assert (state(service, mine), state(service, other)) == ("stored", "gone")

    subject_requests.refuse(service, request.id, DPO, clock())
    erasure.finish_erasures(service, clock())
    assert state(service, mine) == "gone"
    deliver_due(service, clock())
    subject_requests.due(service, clock())
    assert request_row(service, request.id).sealed is None, "once the last letter is out"


def test_approval_sends_one_mail_and_lets_go_of_what_is_not_theirs(service: Service, clock: MovingClock) -> None:
    first, second = stored(service, clock), stored(service, clock, "pbx-2")
    request = ask(service, clock)
    approve(service, clock, request.id, first)
    deliver_due(service, clock())

    assert (held(service, first), held(service, second)) == (["access"], [])
    row = request_row(service, request.id)
    assert (row.state, row.identity_method, row.identity_by) == ("answered", "callback", "tok_dpo")
    assert len(mails(service)) == 1
    with pytest.raises(ConflictError):
        approve(service, clock, request.id, first)


def test_an_approval_may_name_thousands(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    many(service, request.id, subject_requests.MOST_APPROVED - 1)

    approve(service, clock, request.id, *(one.recording_id for one in matches(service, request.id)))

    assert all(one.approved for one in matches(service, request.id))


def test_p4_only_matches_can_be_approved_and_only_with_an_identity(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    stranger = stored(service, clock, "pbx-2", **{"from": "+4520123457"})
    request = ask(service, clock)

    for wrong in ([stranger], [], ["rec_unknown"]):
        with pytest.raises(InvalidInputError):
            subject_requests.approve(service, request.id, wrong, "callback", DPO, clock())
    with pytest.raises(InvalidInputError):
        subject_requests.approve(service, request.id, [stranger], "trust me", DPO, clock())
    with pytest.raises(RequestNotFoundError):
        subject_requests.approve(service, "req_unknown", [stranger], "callback", DPO, clock())
    assert request_row(service, request.id).state == "received"


def test_p4_a_reissued_link_voids_the_last(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    first = token(service)
    subject_requests.reissue(service, request_id, DPO, clock())
    deliver_due(service, clock())

    assert token(service) != first
    with pytest.raises(LinkError):
        access_links.send_code(service, access_links.open_link(service, first, clock()), clock())
    assert visiting(service, clock)


def test_a_request_ends_with_its_last_link_and_then_nothing_is_held(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    clock.advance(days=80)
    service.keyring.ensure(clock())
    request_id = granted(service, clock)
    visiting(service, clock)
    (link,) = link_rows(service, request_id)

    clock.now = link.expires_at - timedelta(seconds=1)
    service.keyring.ensure(clock())
    assert subject_requests.due(service, clock()) == 0
    assert state(service, recording_id) == "stored"

    clock.now = link.expires_at
    assert subject_requests.due(service, clock()) == 1
    erasure.finish_erasures(service, clock())
    row = request_row(service, request_id)
    assert (row.state, row.outcome, row.sealed) == ("closed", "delivered", None)
    assert state(service, recording_id) == "gone"


def test_people_are_reminded_once_before_a_deadline(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)

    def reminders() -> list[str]:
        subject_requests.due(service, clock())
        with service.database.read() as connection:
            return [task.subject_id for task in tasks.open_tasks(connection) if task.kind == "request_due"]

    assert reminders() == []
    clock.now = request.due_at - timedelta(days=6)
    service.keyring.ensure(clock())
    assert reminders() == [request.id]
    approve(service, clock, request.id, *(one.recording_id for one in matches(service, request.id)))
    assert reminders() == []


@pytest.mark.parametrize("kind", ["withdrawal", "erasure"])
def test_an_approved_withdrawal_deletes(service: Service, clock: MovingClock, kind: str) -> None:
    recording_id = stored(service, clock)
    request = subject_requests.open_request(service, kind, phone=PHONE, actor=DPO, now=clock())
    assert held(service, recording_id) == []
    approve(service, clock, request.id, recording_id)

    assert state(service, recording_id) == "gone"
    row = request_row(service, request.id)
    assert (row.state, row.outcome) == ("closed", "deleted")


def test_what_was_still_to_be_captured_when_they_asked_is_found_later_and_held(
    service: Service, clock: MovingClock
) -> None:
    house = House(service, clock, cast("Any", None))
    house.call("pbx-1")
    request = ask(service, clock)
    assert matches(service, request.id) == []

    clock.advance(minutes=30)
    pushing.push(service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, clock())
    clock.advance(days=1)
    stored(service, clock, "pbx-2")  # a call of later, with a yes of its own
    for _ in range(2):
        subject_requests.due(service, clock())

    (found,) = matches(service, request.id)
    assert {one.recording_id for one in matches(service, ask(service, clock, call="pbx-1").id)} == {found.recording_id}
    assert "access" in held(service, found.recording_id)
    approve(service, clock, request.id, found.recording_id)
    assert len(link_rows(service, request.id)) == 1


@pytest.mark.parametrize("about", [{"phone": PHONE}, {"account": "A-1001"}, {"call": "pbx-1"}])
def test_p1_an_approved_withdrawal_reaches_what_is_still_to_be_captured(
    service: Service, clock: MovingClock, about: dict[str, str]
) -> None:
    """Whoever writes right after the call, or while its platform is away, is not told that nothing was found."""
    house = House(service, clock, cast("Any", None))
    house.call("pbx-1", account="A-1001")
    house.call("pbx-2", **{"from": "+4520123457", "account": "A-1002"})

    request = subject_requests.open_request(service, "withdrawal", **about, actor=DPO, now=clock())  # type: ignore[arg-type]
    approve(service, clock, request.id, *(one.recording_id for one in matches(service, request.id)))

    assert request_row(service, request.id).outcome == "deleted"
    with pytest.raises(ConsentMissingError):
        pushing.push(service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, clock())
    assert pushing.push(service, "pbx-2", "r-pbx-2", "audio/wav", iter([speech()]), None, clock()) == "created"


def test_p1_what_is_still_to_be_captured_is_looked_through_page_by_page(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "PAGE", 2)
    house = House(service, clock, cast("Any", None))
    for number in range(5):
        house.call(f"pbx-{number}", account="A-1001")
    house.call("pbx-5", **{"from": "+4520123457", "account": "A-1002"})

    request = subject_requests.open_request(service, "withdrawal", phone=PHONE, actor=DPO, now=clock())

    assert len(matches(service, request.id)) == 5


def test_an_approved_restriction_holds(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request = subject_requests.open_request(service, "restriction", phone=PHONE, actor=DPO, now=clock())
    approve(service, clock, request.id, recording_id)

    subject_requests.due(service, clock())
    assert held(service, recording_id) == ["restriction"]


def test_an_open_request_outlives_its_keys_day(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request_id = granted(service, clock)
    for _ in range(4):
        clock.advance(days=25)
        service.keyring.ensure(clock())
        sweep.review_holds(service, clock())
        subject_requests.reissue(service, request_id, DPO, clock())
        subject_requests.due(service, clock())
        sweep.destroy_due_keys(service, clock())

    deliver_due(service, clock())
    assert len(mails(service)) == 2
    assert visiting(service, clock)


class CrashError(BaseException):
    """The process dies here."""


def crash(*_: object, **__: object) -> None:
    raise CrashError


@pytest.mark.parametrize("crash_after", ["opened", "approved", "refused"])
def test_p6_what_a_crash_leaves_half_done_is_finished(
    service: Service, clock: MovingClock, crash_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the transaction that decided, before what follows from it."""
    first, second = stored(service, clock), stored(service, clock, "pbx-2")
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "opened": ("settle_matches", lambda: ask(service, clock)),
        "approved": ("carry_out", lambda: approve(service, clock, request_id, first)),
        "refused": ("let_go", lambda: subject_requests.refuse(service, request_id, DPO, clock())),
    }
    request_id = "" if crash_after == "opened" else ask(service, clock).id
    name, step = steps[crash_after]
    with monkeypatch.context() as broken:
        broken.setattr(course, name, crash)
        with pytest.raises(CrashError):
            step()

    subject_requests.due(service, clock())
    expected = {
        "opened": (["access"], ["access"]),
        "approved": (["access"], []),
        "refused": ([], []),
    }
    assert (held(service, first), held(service, second)) == expected[crash_after]


def test_p4_what_is_approved_is_held_though_the_process_died_before_it_was(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stored(service, clock), stored(service, clock, "pbx-2")
    with monkeypatch.context() as broken, pytest.raises(CrashError):
        broken.setattr(course, "settle_matches", crash)
        ask(service, clock)
    (opened,) = open_requests(service).items

    approve(service, clock, opened.id, first)

    assert (held(service, first), held(service, second)) == (["access"], [])


def test_a_request_about_a_call_that_is_not_there_matches_nothing(service: Service, clock: MovingClock) -> None:
    request = ask(service, clock, call="pbx-unknown")
    assert matches(service, request.id) == []
    with service.database.read() as connection:
        assert calls.get(connection, "pbx-unknown") is None


def test_messages_and_codes_are_forgotten_after_two_weeks(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    granted(service, clock)
    visiting(service, clock)

    def left() -> tuple[int, int]:
        with service.database.read() as connection:
            counts = (select(func.count()).select_from(metadata.tables[name]) for name in ("codes", "outbox"))
            one, other = (connection.execute(count).scalar_one() for count in counts)
        return one, other

    clock.advance(days=13)
    subject_requests.due(service, clock())
    assert left() == (1, 3), "the code, its SMS, the mail, and a receipt that was not needed"
    clock.advance(days=2)
    subject_requests.due(service, clock())
    assert left() == (0, 0)


def test_p3_what_an_ended_request_held_is_let_go_though_the_process_died_and_the_key_went(
    service: Service, clock: MovingClock
) -> None:
    recording = stored(service, clock)
    request_id = granted(service, clock)
    with service.database.write() as connection:  # and here it dies
        course.end(connection, request_id, "closed", "answered", SYSTEM, clock())
    clock.advance(days=122)
    service.keyring.ensure(clock())
    sweep.sweep(service, clock(), unattended=False)
    assert request_row(service, request_id).sealed is None
    assert held(service, recording) == ["access"]

    subject_requests.due(service, clock())
    sweep.sweep(service, clock(), unattended=False)

    assert (held(service, recording), state(service, recording)) == ([], "gone")
