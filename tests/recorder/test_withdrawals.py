"""A yes is taken back once, however often it is said, and wherever whoever carries it out dies."""

from __future__ import annotations

from datetime import datetime

import pytest

from recorder import erasure, holds
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import calls, evidence
from storage.catalogue.calls import Leg
from storage.catalogue.evidence import Consent
from storage.clock import new_id
from tests.conftest import MovingClock
from tests.recorder.dying import dying
from tests.recorder.logged import logged
from tests.recorder.stored import row, store, store_call

DPO = Actor("tok_dpo", "dpo")
CUSTOMER = Actor("ses_1", "customer")


def entries(service: Service, kind: str) -> list[str]:
    """Whose doing each was."""
    return [one["actor"] for one in logged(service, kind)]


def said(service: Service, call_id: str) -> list[str]:
    with service.database.read() as connection:
        return [one.decision for one in evidence.consents_of(connection, [call_id])]


def agree(service: Service, call_id: str, at: datetime) -> None:
    with service.database.write() as connection:
        evidence.add_consent(connection, Consent(new_id("cns"), call_id, "granted", at, digit="1"))


@pytest.mark.parametrize("state", ["over", "open"])
def test_p5_a_withdrawal_cut_off_and_carried_out_again_is_told_once(
    service: Service, clock: MovingClock, state: str
) -> None:
    call = store_call(service, clock.now, state=state)
    recording = store(service, clock.now, call=call)

    with dying("erase.deleted"):
        erasure.withdraw(service, recording.id, CUSTOMER, clock.advance(minutes=5))
    erasure.withdraw(service, recording.id, DPO, clock.advance(minutes=5))

    assert entries(service, "consent.withdrawn") == [CUSTOMER.id]
    assert erasure.finish_erasures(service, clock.now) == 1
    assert said(service, call.id)[:2] == ([] if state == "over" else ["granted", "withdrawn"])


def test_p5_a_withdrawal_that_waits_is_told_once_however_often_it_is_said(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    one, two = store(service, clock.now, call=call), store(service, clock.now, call=call)
    for recording in (one, two):
        holds.place(service, recording.id, "access", None, DPO, clock.now)
    for recording, choice in ((one, "copy_first"), (two, "copy_first"), (one, "delete_now")):
        erasure.withdraw(service, recording.id, CUSTOMER, clock.advance(minutes=5), choice)  # type: ignore[arg-type]  # one of two words

    assert entries(service, "consent.withdrawn") == [CUSTOMER.id]
    assert entries(service, "recording.erasing") == [CUSTOMER.id] * 2


def test_p5_of_two_withdrawals_at_once_the_second_leaves_nothing(service: Service, clock: MovingClock) -> None:
    """Both were asked for before either was carried out; the call goes on, or is held by what it is linked to."""
    call = store_call(service, clock.now, state="open")
    recording = store(service, clock.now, call=call)
    for _ in range(2):
        erasure.begin_withdrawal(service, recording.id, CUSTOMER, clock.advance(seconds=1), "delete_now")

    assert said(service, call.id) == ["granted", "withdrawn"]
    assert entries(service, "consent.withdrawn") == [CUSTOMER.id]


def test_p5_a_yes_in_a_linked_call_is_taken_back_anew(service: Service, clock: MovingClock) -> None:
    call, other = (store_call(service, clock.now, state="open") for _ in range(2))
    with service.database.write() as connection:
        calls.add_leg(connection, Leg(new_id("leg"), other.id, parent_call_id=call.id))
    for _ in range(2):
        recording = store(service, clock.now, call=call)
        erasure.withdraw(service, recording.id, CUSTOMER, clock.advance(minutes=1))
        agree(service, other.id, clock.advance(minutes=1))

    assert entries(service, "consent.withdrawn") == [CUSTOMER.id] * 2


def test_p5_a_new_yes_is_taken_back_anew(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now, state="open")
    for _ in range(2):
        recording = store(service, clock.now, call=call)
        erasure.withdraw(service, recording.id, CUSTOMER, clock.advance(minutes=1))
        agree(service, call.id, clock.advance(minutes=1))

    assert entries(service, "consent.withdrawn") == [CUSTOMER.id] * 2


def test_p1_what_was_withdrawn_in_the_call_and_by_its_customer_is_told_of_both(
    service: Service, clock: MovingClock
) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "legal", "case-7", DPO, clock.now)
    with service.database.write() as connection:
        no = Consent(new_id("cns"), recording.call_id, "withdrawn", clock.advance(minutes=1), method="button")
        evidence.add_consent(connection, no)
    erasure.withdraw(service, recording.id, CUSTOMER, clock.advance(minutes=1))

    assert entries(service, "consent.withdrawn") == [CUSTOMER.id]
    assert row(service, recording.id).erase_reason == "withdrawn"
