"""Answering a request: what may be approved, the one mail that follows, links sent again, what is deleted or held, and
how it all ends.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from recorder import access_links, erasure, subject_requests
from recorder.errors import ConflictError, InvalidInputError, LinkError, RequestNotFoundError
from recorder.ports import Service
from storage.catalogue import tasks
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.asking import (
    DPO,
    PHONE,
    approve,
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
from tests.recorder.stored import held, state


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


def test_an_approved_restriction_holds(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request = subject_requests.open_request(service, "restriction", phone=PHONE, actor=DPO, now=clock())
    approve(service, clock, request.id, recording_id)

    subject_requests.due(service, clock())
    assert held(service, recording_id) == ["restriction"]


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
