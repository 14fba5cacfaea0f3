"""Opening a request: what it finds by number, account or call, by when it is to be answered, and what it holds
meanwhile.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder import erasure, subject_requests, sweep
from recorder.errors import ConflictError, InvalidInputError
from recorder.ports import Service
from storage.catalogue import calls, recordings
from tests.conftest import MovingClock
from tests.recorder.asking import DPO, PHONE, ask, granted, mails, matches, request_row, stored, visiting
from tests.recorder.post import deliver_due
from tests.recorder.stored import held, state


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


def test_a_request_about_a_call_that_is_not_there_matches_nothing(service: Service, clock: MovingClock) -> None:
    request = ask(service, clock, call="pbx-unknown")
    assert matches(service, request.id) == []
    with service.database.read() as connection:
        assert calls.get(connection, "pbx-unknown") is None
