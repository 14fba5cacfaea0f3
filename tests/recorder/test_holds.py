"""Holds move a recording's secrets to the key of their review day, and let go of it when they end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from recorder import erasure, holds, personal, sweep
from recorder.actors import Actor
from recorder.errors import ErasingError, InvalidInputError, NotFoundError, RecordingNotFoundError
from recorder.ports import Service
from storage.catalogue import calls, forecast, recordings, tasks
from storage.clock import utc_day
from storage.errors import KeyDestroyedError, KeyUnavailableError
from tests.conftest import MovingClock
from tests.recorder.stored import AUDIO, found_by_phone, hear, row, store, store_call

DPO = Actor("tok_dpo", "dpo")


def expected(service: Service, day: str) -> int:
    with service.database.read() as connection:
        return forecast.expected(connection, day)


def test_a_hold_moves_the_recording_to_the_key_of_its_review(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=30))
    review = clock.now + timedelta(days=80)
    holds.place(service, recording.id, "legal", "case-7", DPO, clock.now, review_at=review)
    held = row(service, recording.id)
    assert held.holds == 1
    assert held.key_id == service.keyring.day_key(utc_day(review), clock.now).id
    assert held.expiry_day == f"{review:%Y%m%d}"
    assert held.expires_at == recording.expires_at
    assert hear(service, held, clock.now) == AUDIO
    assert found_by_phone(service, clock.now) == [recording.id]
    assert expected(service, "20261102") == 0


def test_a_review_before_the_expiry_leaves_the_key_alone(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=clock.now + timedelta(days=3))
    assert (row(service, recording.id).key_id, row(service, recording.id).holds) == (recording.key_id, 1)


def test_an_earlier_review_of_one_hold_leaves_the_key_of_another_alone(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=30))
    for days in (80, 70):
        review = clock.now + timedelta(days=days)
        holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=review)
    assert row(service, recording.id).expiry_day == f"{clock.now + timedelta(days=80):%Y%m%d}"


def test_the_call_moves_along_and_stays_readable(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now - timedelta(days=30))
    recording = store(service, clock.now - timedelta(days=30), call=call)
    holds.place(service, recording.id, "legal", None, DPO, clock.now)
    with service.database.read() as connection:
        moved = calls.get(connection, call.id)
    assert moved is not None
    assert moved.key_id == row(service, recording.id).key_id
    assert personal.of_call(service, moved, clock.now)["platform_call_id"] == "pbx-81"


def test_the_call_stays_under_the_key_of_its_longest_kept_recording(service: Service, clock: MovingClock) -> None:
    ended = clock.now - timedelta(days=30)
    call = store_call(service, ended)
    longest, other = store(service, ended, call=call), store(service, ended, call=call)
    for recording, days in ((longest, 80), (other, 70)):
        review = clock.now + timedelta(days=days)
        holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=review)
    with service.database.read() as connection:
        found = calls.get(connection, call.id)
    assert found is not None
    assert found.key_id == row(service, longest.id).key_id != row(service, other.id).key_id


def test_the_last_release_moves_it_back_and_foresees_it_again(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=30))
    first = holds.place(service, recording.id, "legal", None, DPO, clock.now)
    second = holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    assert expected(service, "20261102") == 0
    holds.release(service, first.id, DPO, clock.now)
    assert row(service, recording.id).key_id != recording.key_id
    assert expected(service, "20261102") == 0
    holds.release(service, second.id, DPO, clock.now)
    back = row(service, recording.id)
    assert (back.key_id, back.expiry_day, back.holds) == (recording.key_id, recording.expiry_day, 0)
    assert expected(service, "20261102") == 1
    assert hear(service, back, clock.now) == AUDIO


def test_a_release_twice_counts_once(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "legal", None, DPO, clock.now)
    holds.place(service, recording.id, "dispute", None, DPO, clock.now)
    holds.release(service, hold.id, DPO, clock.now)
    holds.release(service, hold.id, DPO, clock.now)
    assert row(service, recording.id).holds == 1
    with pytest.raises(NotFoundError):
        holds.release(service, "hld_unknown", DPO, clock.now)


def test_a_request_holds_a_recording_once(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    first = holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    again = holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    assert again == first
    assert row(service, recording.id).holds == 1


def test_many_at_once_are_all_counted(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=30))
    reviews = [clock.now + timedelta(days=61 + at) for at in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda review: holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=review),
                reviews,
            )
        )
    held = row(service, recording.id)
    assert held.holds == 4
    assert held.expiry_day == f"{reviews[-1]:%Y%m%d}"
    assert hear(service, held, clock.now) == AUDIO


def test_what_is_due_or_being_erased_takes_no_hold(service: Service, clock: MovingClock) -> None:
    due, withdrawn, discarded = (store(service, clock.now - timedelta(days=days)).id for days in (90, 1, 1))
    with service.database.write() as connection:
        recordings.change(connection, withdrawn, state="erasing")
        recordings.change(connection, discarded, state="discarded")
    for recording_id in (due, withdrawn):
        with pytest.raises(ErasingError):
            holds.place(service, recording_id, "legal", None, DPO, clock.now)
    for recording_id in (discarded, "rec_unknown"):
        with pytest.raises(RecordingNotFoundError):
            holds.place(service, recording_id, "legal", None, DPO, clock.now)


@pytest.mark.parametrize("days", [0, -1, 91])
def test_a_review_lies_within_90_days(service: Service, clock: MovingClock, days: int) -> None:
    recording = store(service, clock.now)
    with pytest.raises(InvalidInputError):
        holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=clock.now + timedelta(days=days))
    with pytest.raises(InvalidInputError):
        holds.place(service, recording.id, "whim", None, DPO, clock.now)


@pytest.mark.parametrize(
    "reason",
    [
        "010190-1234",
        "sag 3112991234, haster",
        "(311299 1234)",
        "a@b.dk",
        "ring +4520123456",
        "+45 20 12 34 56",
        "ring 20 12 34 56",
        "0045 20123456",
    ],
)
def test_a_reason_names_no_person(service: Service, clock: MovingClock, reason: str) -> None:
    """It stays in the log of holds in clear; civil registration numbers are kept nowhere."""
    recording = store(service, clock.now)

    with pytest.raises(InvalidInputError) as refusal:
        holds.place(service, recording.id, "legal", reason, DPO, clock.now)
    assert reason not in str(refusal.value)


@pytest.mark.parametrize("reason", ["J-2026/1187", "4401902026", "0101901234567", "300190", "sag 12345678"])
def test_a_reference_is_a_reason(service: Service, clock: MovingClock, reason: str) -> None:
    recording = store(service, clock.now)

    assert holds.place(service, recording.id, "legal", reason, DPO, clock.now).reason == reason


def test_a_key_that_is_closing_takes_no_new_wrap(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=30))
    review = clock.now + timedelta(days=80)
    service.keyring.day_key(utc_day(review), clock.now)
    with service.database.write() as connection:
        service.keyring.close_day(connection, utc_day(review))
    with pytest.raises((KeyDestroyedError, KeyUnavailableError)):
        holds.place(service, recording.id, "legal", None, DPO, clock.now, review_at=review)
    assert row(service, recording.id).key_id == recording.key_id


def test_p3_a_missed_review_alarms_extends_and_loses_nothing(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "legal", None, DPO, clock.now)
    for _ in range(4):
        clock.advance(days=30, hours=1)
        service.keyring.ensure(clock.now)
        sweep.sweep(service, clock.now, unattended=True)
    held = row(service, recording.id)
    assert (held.state, held.expiry_day) == ("stored", f"{clock.now + timedelta(days=30):%Y%m%d}")
    assert hear(service, held, clock.now) == AUDIO
    with service.database.read() as connection:
        assert ("hold_review_missed", hold.id) in [(one.kind, one.subject_id) for one in tasks.open_tasks(connection)]
    holds.release(service, hold.id, DPO, clock.now)
    assert erasure.finish_erasures(service, clock.now) == 1
    assert erasure.certificate(service, recording.id)["reason"] == "expired"
    with service.database.read() as connection:
        assert tasks.open_tasks(connection) == []
