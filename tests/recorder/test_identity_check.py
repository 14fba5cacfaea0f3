"""Asking who is asking: the deadline waits, the person is reminded, and thirty days of silence close the case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from recorder import deadlines, subject_requests, sweep
from recorder.actors import Actor
from recorder.delivery import bounces
from recorder.errors import ConflictError, RequestNotFoundError
from recorder.ports import Service
from recorder.subject_requests import identity_check
from storage.catalogue import holds
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, ask, mails, matches, passes, request_row, stored, subjects
from tests.recorder.post import deliver_due
from tests.recorder.waiting import kinds_of_tasks

OPERATOR = Actor("tok_operator", "operator")


def held(service: Service, request_id: str) -> int:
    with service.database.read() as connection:
        return sum(hold.released_at is None for hold in holds.of_request(connection, request_id))


def test_an_unanswered_check_is_reminded_of_and_closed_after_thirty_days(service: Service, clock: MovingClock) -> None:
    recording = stored(service, clock)
    clock.advance(days=80)
    service.keyring.ensure(clock())
    request = ask(service, clock)
    identity_check.ask(service, request.id, DPO, clock())
    assert subjects(service, clock) == ["Er det dig, der har skrevet til os?"]

    passes(service, clock, days=13, hours=23)
    assert (len(mails(service)), kinds_of_tasks(service)) == (1, [])
    passes(service, clock, hours=2)
    passes(service, clock, hours=2)
    assert [mail["Subject"] for mail in mails(service)][1:] == ["Påmindelse: Er det dig, der har skrevet til os?"]
    assert kinds_of_tasks(service) == ["identity_unanswered"]

    passes(service, clock, days=16)
    assert (request_row(service, request.id).state, held(service, request.id)) == ("received", 1)
    passes(service, clock, days=1)
    row = request_row(service, request.id)
    assert (row.state, row.outcome, held(service, request.id)) == ("closed", "identity_unanswered", 0)
    assert [mail["Subject"] for mail in mails(service)][2:] == ["Vi har lukket din sag"]
    assert kinds_of_tasks(service) == []

    subject_requests.due(service, clock())
    assert request_row(service, request.id).sealed is None
    report = sweep.sweep(service, clock(), unattended=False, actor=DPO)
    assert report.erased == 1, recording


def test_the_deadline_stands_still_while_the_person_is_waited_for(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    clock.advance(days=2)
    identity_check.ask(service, request.id, DPO, clock())
    deliver_due(service, clock())
    passes(service, clock, days=25)
    assert "request_due" not in kinds_of_tasks(service), "nobody is late but the person"

    identity_check.answered(service, request.id, DPO, clock())
    row = request_row(service, request.id)
    assert row.due_at == request.due_at + timedelta(days=25)
    assert (row.identity_asked_at, kinds_of_tasks(service)) == (None, [])
    passes(service, clock, days=24)
    assert (row.state, kinds_of_tasks(service)) == ("received", ["request_due"])


@pytest.mark.parametrize("came_back", [False, True])
def test_nobody_is_waited_for_whom_our_question_did_not_reach(
    service: Service, clock: MovingClock, came_back: bool
) -> None:
    """A request is not closed for silence, nor what it holds erased, when the person was never asked."""
    stored(service, clock)
    request = ask(service, clock)
    known = (service.settings.data_dir / "directory.csv").read_text()
    if not came_back:
        (service.settings.data_dir / "directory.csv").write_text(known.replace("anna@example.com", ""))
    identity_check.ask(service, request.id, DPO, clock())
    deliver_due(service, clock())
    if came_back:
        bounces.report(service, mails(service)[-1]["Message-ID"], OPERATOR, clock())

    passes(service, clock, hours=1)
    row = request_row(service, request.id)
    assert (row.identity_asked_at, row.due_at) == (None, request.due_at)
    assert kinds_of_tasks(service) == ["delivery_failed" if came_back else "contact_missing"]
    passes(service, clock, days=25)
    assert "request_due" in kinds_of_tasks(service)
    passes(service, clock, days=6)
    assert (request_row(service, request.id).state, held(service, request.id)) == ("received", 1)

    (service.settings.data_dir / "directory.csv").write_text(known)
    identity_check.ask(service, request.id, DPO, clock())
    passes(service, clock, hours=1)
    assert mails(service)[-1]["Subject"] == "Er det dig, der har skrevet til os?"
    assert request_row(service, request.id).identity_asked_at is not None


def test_a_deadline_that_stands_still_may_be_extended_and_loses_no_day_by_it(
    service: Service, clock: MovingClock
) -> None:
    stored(service, clock)
    request = ask(service, clock)
    passes(service, clock, days=20)
    identity_check.ask(service, request.id, DPO, clock())
    passes(service, clock, days=20)
    assert identity_check.deadline(request_row(service, request.id), clock()) == request.due_at + timedelta(days=20)

    subject_requests.extend(service, request.id, DPO, clock())
    identity_check.answered(service, request.id, DPO, clock())
    two_months = deadlines.due_at(request.received_at, 3) - request.due_at
    assert request_row(service, request.id).due_at == request.due_at + two_months + timedelta(days=20)


def test_an_extension_after_the_answer_takes_two_months_more(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    for _ in range(3):
        identity_check.ask(service, request.id, DPO, clock())
        passes(service, clock, days=25)
        identity_check.answered(service, request.id, DPO, clock())

    moved = request_row(service, request.id).due_at
    subject_requests.extend(service, request.id, DPO, clock())
    assert request_row(service, request.id).due_at == moved + (
        deadlines.due_at(request.received_at, 3) - request.due_at
    )


def test_an_answer_ends_the_waiting_and_the_request_goes_on(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    identity_check.ask(service, request.id, DPO, clock())
    deliver_due(service, clock())
    passes(service, clock, days=15)
    chosen = [one.recording_id for one in matches(service, request.id)]
    subject_requests.approve(service, request.id, chosen, "callback", DPO, clock())
    assert kinds_of_tasks(service) == []

    passes(service, clock, days=20)
    assert request_row(service, request.id).state == "answered"


def test_who_writes_again_is_a_new_request(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    first = ask(service, clock)
    identity_check.ask(service, first.id, DPO, clock())
    passes(service, clock, days=32)
    again = ask(service, clock)

    assert (request_row(service, first.id).state, request_row(service, again.id).state) == ("closed", "received")
    assert held(service, again.id) == 1


def test_a_check_is_asked_once_and_only_while_the_request_is_open(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    with pytest.raises(ConflictError):
        identity_check.answered(service, request.id, DPO, clock())
    identity_check.ask(service, request.id, DPO, clock())
    with pytest.raises(ConflictError):
        identity_check.ask(service, request.id, DPO, clock())
    subject_requests.refuse(service, request.id, DPO, clock(), "identity_not_confirmed")
    for act in (identity_check.ask, identity_check.answered):
        with pytest.raises(ConflictError):
            act(service, request.id, DPO, clock())
        with pytest.raises(RequestNotFoundError):
            act(service, "req_none", DPO, clock())
    assert subjects(service, clock) == ["Svar på din henvendelse"], "the question was taken back in time"


@pytest.mark.parametrize("extended_first", [False, True])
def test_asking_who_it_is_and_extending_are_both_told(
    service: Service, clock: MovingClock, *, extended_first: bool
) -> None:
    """Each letter the law asks for leaves, though the relay was away when the next one was written."""
    stored(service, clock)
    request = ask(service, clock)
    acts: list[Callable[..., None]] = [identity_check.ask, subject_requests.extend]
    for act in reversed(acts) if extended_first else acts:
        act(service, request.id, DPO, clock())
        clock.advance(minutes=20)

    deliver_due(service, clock())
    assert len(mails(service)) == 2, [mail["Subject"] for mail in mails(service)]


def test_an_extension_is_told_though_the_person_answered_first(service: Service, clock: MovingClock) -> None:
    stored(service, clock)
    request = ask(service, clock)
    identity_check.ask(service, request.id, DPO, clock())
    deliver_due(service, clock())
    subject_requests.extend(service, request.id, DPO, clock())
    identity_check.answered(service, request.id, DPO, clock())

    deliver_due(service, clock())
    assert len(mails(service)) == 2, [mail["Subject"] for mail in mails(service)]
