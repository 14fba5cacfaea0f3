"""The end of an erasure: what will not go keeps back nothing else, and a certificate says when all was gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from recorder import capture, erasure, sweep
from recorder.actors import Actor
from recorder.capture import uploading
from recorder.jobs import Jobs
from recorder.ports import Service
from storage import clock as clocks
from storage.catalogue import attempts, erasing, sweeping, tasks
from storage.catalogue.erasing import Order
from storage.errors import KeyDestroyedError, StoreRefusedError, StoreUnavailableError
from storage.objects_folder import FolderStore
from tests.conftest import MovingClock
from tests.recorder.stored import hear, store

DPO = Actor("tok_dpo", "dpo")


def key_of(service: Service, recording_id: str) -> str:
    with service.database.read() as connection:
        return attempts.kept(connection, recording_id)["original"].object_key


def stuck(service: Service, key: str) -> None:
    """Make a file that cannot be removed, whoever tries."""
    objects = service.vault.objects
    assert isinstance(objects, FolderStore)
    path: Path = objects.path / key
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def test_p3_one_object_that_will_not_go_keeps_back_no_other(service: Service, clock: MovingClock) -> None:
    rows = sorted((store(service, clock.now) for _ in range(40)), key=lambda one: one.id)
    key = key_of(service, rows[15].id)
    stuck(service, key)
    sweep.sweep(service, clock.advance(days=90), unattended=False)
    for _ in range(75):
        erasure.finish_erasures(service, clock.advance(seconds=61))

    with service.database.read() as connection:
        left = sweeping.count_erasing(connection)
    assert (left, late(service)) == (1, [rows[15].id])
    assert [one for one in service.vault.objects.keys("") if not one.startswith(key)] == []


@pytest.mark.parametrize("refusal", [StoreRefusedError, StoreUnavailableError])
def test_p3_one_given_up_upload_that_will_not_go_keeps_back_no_other(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, refusal: type[StoreUnavailableError]
) -> None:
    rows = [store(service, clock.now) for _ in range(5)]
    with service.database.write() as connection:
        for one in rows:
            attempts.lose(connection, one.id, kept=True)
    with service.database.read() as connection:
        first = attempts.lost(connection, 100)[0].object_key
    delete = service.vault.objects.delete

    def refusing(key: str) -> int:
        if key == first:
            raise refusal
        return delete(key)

    monkeypatch.setattr(service.vault.objects, "delete", refusing)
    with pytest.raises(refusal):
        uploading.erase_lost(service)

    assert list(service.vault.objects.keys("")) == [first]


def test_p3_given_up_uploads_that_will_not_go_hide_no_others(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are: here as many as are looked at in one go."""
    monkeypatch.setattr(uploading, "ERASED_AT_ONCE", 1)
    recording = store(service, clock.now)
    with service.database.write() as connection:
        attempts.lose(connection, recording.id, kept=True)
    with service.database.read() as connection:
        first = attempts.lost(connection, 1)[0].object_key
    stuck(service, first)

    for _ in range(100):
        with suppress(StoreRefusedError):
            uploading.erase_lost(service)

    with service.database.read() as connection:
        assert [one.object_key for one in attempts.lost(connection, 100)] == [first]


def test_given_up_uploads_that_will_not_go_are_tried_beside_the_captures_not_by_each_of_them(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every webhook wakes the captures: they would wait for the store each time, and fill the log."""
    recording = store(service, clock.now)
    with service.database.write() as connection:
        attempts.lose(connection, recording.id, kept=True)
    tried = []

    def refusing(key: str) -> int:
        tried.append(key)
        raise StoreRefusedError

    monkeypatch.setattr(service.vault.objects, "delete", refusing)
    capture.capture_due(service, clock.now)
    assert not tried

    monkeypatch.undo()
    jobs = Jobs(service)
    jobs.wake("leftovers")
    jobs.stop()
    assert list(service.vault.objects.keys("")) == []


def test_a_store_that_is_away_is_not_asked_for_each(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        store(service, clock.now)
    asked = []

    def away(*keys: object) -> int:
        asked.append(keys)
        raise StoreUnavailableError

    for name in ("delete_many", "remaining"):
        monkeypatch.setattr(service.vault.objects, name, away)
    sweep.sweep(service, clock.advance(days=90), unattended=False)

    assert len(asked) == 2  # all at once, and then whether it is there


def test_p3_a_ring_that_is_away_is_not_waited_for_by_each_object(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [store(service, clock.now) for _ in range(5)]
    order = Order("withdrawn", "dpo", clock.now)
    with service.database.write() as connection:
        erasing.claim(connection, [one.id for one in rows], order, clock.now, expiring=False)
    asked = []

    def away(*place: object) -> None:
        asked.append(place)
        raise StoreUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(service.keyring, "note", away)
        assert erasure.finish_erasures(service, clock.now) == 0

    assert list(service.vault.objects.keys("")) == []
    assert len(asked) == 1
    assert erasure.finish_erasures(service, clock.advance(minutes=2)) == 5


def test_p3_a_ring_that_is_away_for_an_hour_is_told_to_people(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)

    def away(*_: object) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(service.keyring, "note", away)
    for passed in (timedelta(), timedelta(minutes=59, seconds=59), timedelta(seconds=1)):
        assert late(service) == []
        erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.advance(seconds=passed.seconds))

    assert late(service) == [recording.id]


def late(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [one.subject_id for one in tasks.open_tasks(connection, kind="erasure_late")]


def test_p3_an_erased_recordings_data_key_is_forgotten_at_once(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hear(service, recording, clock.now)

    erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now)

    assert recording.key_id is not None
    assert recording.dek is not None
    service.keyring.destroy(recording.key_id, clock.now)
    with pytest.raises(KeyDestroyedError):
        service.vault.unwrap_dek(recording.id, recording.key_id, recording.dek, clock.now)


def test_only_what_a_key_outlives_is_noted_in_the_ring(service: Service, clock: MovingClock) -> None:
    expired, withdrawn = store(service, clock.now - timedelta(days=90)), store(service, clock.now)
    with service.database.write() as connection:
        erasure.claim_due(connection, [expired.id], DPO, clock.now)
        erasing.claim(connection, [withdrawn.id], Order("withdrawn", "dpo", clock.now), clock.now, expiring=False)

    assert erasure.finish_erasures(service, clock.now) == 2

    assert [name.id for name in service.keyring.notes("rec")] == [withdrawn.id]


def test_p5_a_certificate_does_not_say_verified_before_the_last_object_went(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)
    passed = [0.0]
    monkeypatch.setattr(clocks, "monotonic", lambda: passed[0])
    delete = service.vault.objects.delete_many

    def slow(keys: Sequence[str]) -> dict[str, int]:
        passed[0] += 90
        return delete(keys)

    monkeypatch.setattr(service.vault.objects, "delete_many", slow)
    certificate = erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now)

    assert certificate is not None
    assert certificate.verified_at == clocks.rfc3339(clock.now + timedelta(seconds=90))
