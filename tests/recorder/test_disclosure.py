"""What a person is shown: theirs, while it may be heard, and nothing more."""

from __future__ import annotations

from datetime import timedelta

from recorder import disclosure, holds
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import holds as hold_rows
from storage.catalogue import recordings
from tests.conftest import MovingClock
from tests.recorder.asking import granted, stored, visiting

DPO = Actor("tok_dpo", "dpo")


def test_p3_at_its_second_the_persons_page_shows_nothing_of_it(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    request_id = granted(service, clock)
    visit = visiting(service, clock)
    with service.database.read() as connection:
        (hold,) = hold_rows.of_request(connection, request_id)
    holds.release(service, hold.id, DPO, clock())
    over = clock() + timedelta(minutes=1)
    with service.database.write() as connection:
        recordings.change(connection, recording_id, expires_at=over)

    (before,) = disclosure.page(service, visit, over - timedelta(microseconds=1)).items
    (after,) = disclosure.page(service, visit, over).items
    assert before.recording is not None
    assert before.bars
    assert (after.recording, after.bars, after.told) == (None, (), None)


def test_p4_a_restriction_closes_the_outline_too(service: Service, clock: MovingClock) -> None:
    recording_id = stored(service, clock)
    granted(service, clock)
    visit = visiting(service, clock)
    holds.place(service, recording_id, "restriction", None, DPO, clock())

    (shown,) = disclosure.page(service, visit, clock()).items
    assert shown.recording is not None
    assert shown.bars == []
