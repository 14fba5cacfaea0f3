"""What becomes of a call beside its recordings: it stays as long as they do, and not a day longer."""

from __future__ import annotations

from datetime import timedelta

from recorder import calls, holds, personal
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import calls as call_rows
from storage.catalogue.calls import Call
from storage.clock import utc_day
from tests.conftest import MovingClock
from tests.recorder.asking import stored
from tests.recorder.stored import row

DPO = Actor("tok_dpo", "dpo")


def call_of(service: Service, recording_id: str) -> Call:
    with service.database.read() as connection:
        call = call_rows.get(connection, row(service, recording_id).call_id)
    assert call is not None
    return call


def settled(service: Service, clock: MovingClock) -> None:
    """Everything a call has to wait for is over: its consent's deadline too."""
    clock.advance(hours=25)
    calls.apply_pending(service, clock())


def test_p3_a_held_recordings_call_stays_under_the_key_of_the_review(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    clock.advance(hours=20)  # within the deadline for a consent, but on another day
    review = clock() + timedelta(days=90)
    holds.place(service, recording_id, "legal", None, DPO, clock(), review_at=review)

    settled(service, clock)

    call, held = call_of(service, recording_id), row(service, recording_id)
    assert call.key_id == held.key_id == service.keyring.day_key(utc_day(review), clock()).id
    assert personal.of_call(service, call, clock())["platform_call_id"] == "pbx-1"


def test_p3_a_call_goes_back_with_its_recording(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    clock.advance(hours=20)
    hold = holds.place(service, recording_id, "legal", None, DPO, clock())
    settled(service, clock)
    holds.release(service, hold.id, DPO, clock())

    call, back = call_of(service, recording_id), row(service, recording_id)
    assert back.expires_at is not None
    assert call.key_id == back.key_id == service.keyring.day_key(utc_day(back.expires_at), clock()).id
