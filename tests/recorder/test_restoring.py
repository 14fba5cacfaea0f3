"""Yesterday's backup of database and objects, restored as docs/operating.md says, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from recorder import erasure, holds, keys, listening, restoring, sweep
from recorder.actors import Actor
from recorder.erasure import notes
from recorder.errors import RecordingNotFoundError
from recorder.holds import sheltering
from recorder.ports import Service
from recorder.segments import SEGMENTS
from storage import audit
from storage.catalogue import erasing
from storage.catalogue.recordings import Recording
from storage.errors import KeyDestroyedError, StoreUnavailableError
from storage.objects import HELD
from storage.objects_folder import FolderStore
from tests.conftest import MovingClock
from tests.recorder.backups import House
from tests.recorder.stored import AUDIO, hear, objects, row, store
from tests.recorder.waiting import kinds_of_tasks

DPO = Actor("tok_dpo", "dpo")
CUSTOMER = Actor("ses_1", "customer")


def erased_and_back(house: House, place: Path) -> Recording:
    """A recording that was erased by order after a backup, which is then restored."""
    with house.running() as service:
        recording = store(service, house.clock.now)
        house.back_up(place / "backup")
        erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=house.clock.now)
    house.restore(place / "backup")
    return recording


def test_p3_what_was_erased_before_its_time_is_gone_again_when_a_restore_is_started(
    house: House, tmp_path: Path
) -> None:
    clock = house.clock
    with house.running() as service:
        kept, withdrawn, ordered = (store(service, clock.now) for _ in range(3))
        hold = holds.place(service, ordered.id, "legal", "case-1", DPO, clock.now)
        house.back_up(tmp_path / "backup")
        clock.advance(days=1)
        holds.release(service, hold.id, DPO, clock.now)
        (first,) = erasure.withdraw(service, withdrawn.id, CUSTOMER, clock.now).certificates
        second = erasure.erase(service, ordered.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert second is not None

    house.restore(tmp_path / "backup")
    clock.advance(hours=1)
    with house.running() as service:
        for recording, certificate in ((withdrawn, first), (ordered, second)):
            with pytest.raises(RecordingNotFoundError), service.database.read() as connection:
                listening.may_hear(connection, recording.id, "access", clock.now)
            again = erasure.certificate(service, recording.id)
            assert again["certificate_id"] == certificate.certificate_id
            assert (again["reason"], again["ordered_by"]) == (certificate.reason, certificate.ordered_by)
        assert hear(service, row(service, kept.id), clock.now) == AUDIO
        assert len(objects(service)) == 3
        assert kinds_of_tasks(service) == ["restored"]
        assert audit.verify(service.database).ok
    with house.running() as service:
        assert restoring.erase_again(service, clock.now) == 0


def test_p6_replicas_started_together_after_a_restore_all_start(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = erased_and_back(house, tmp_path)
    standing = erasing.standing

    def overtaken(connection: Connection, ids: Sequence[str]) -> list[str]:
        found = standing(connection, ids)
        monkeypatch.setattr(erasing, "standing", standing)
        with house.running():
            pass
        return found

    monkeypatch.setattr(erasing, "standing", overtaken)
    with house.running() as service:
        assert erasure.certificate(service, recording.id)["reason"] == "dpo_order"
        assert objects(service) == []


def test_p3_nothing_that_is_back_opens_while_the_store_is_away(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = erased_and_back(house, tmp_path)

    def away(*_: object) -> None:
        raise StoreUnavailableError

    with monkeypatch.context() as patch:
        for asking in ("delete_many", "remaining"):
            patch.setattr(FolderStore, asking, away)
        with house.running() as service:
            assert row(service, recording.id).dek is None
            assert row(service, recording.id).state == "erasing"
    with house.running() as service:
        assert erasure.finish_erasures(service, house.clock.advance(minutes=6)) == 1
        assert objects(service) == []


def test_p3_what_expired_since_the_backup_opens_for_nobody_and_is_swept_without_a_brake(
    house: House, tmp_path: Path
) -> None:
    clock = house.clock
    with house.running() as service:
        recording = store(service, clock.now, days=2)
        house.back_up(tmp_path / "backup")
        clock.advance(days=3, hours=1)
        assert sweep.sweep(service, clock.now, unattended=True).erased == 1
        number = erasure.certificate(service, recording.id)["certificate_id"]

    house.restore(tmp_path / "backup")
    with house.running() as service:
        with pytest.raises(KeyDestroyedError):
            hear(service, row(service, recording.id), clock.now)
        assert sweep.sweep(service, clock.now, unattended=True).erased == 1
        assert erasure.certificate(service, recording.id)["certificate_id"] == number
        assert objects(service) == []
        assert notes.all_names(service) == {}


def test_p3_what_expired_under_a_key_that_lives_on_is_gone_again_after_a_restore(house: House, tmp_path: Path) -> None:
    """A hold moves it to the key of a later day; when the hold ends and it goes, that key is still there."""
    clock = house.clock
    with house.running() as service:
        recording = store(service, clock.now, days=2)
        hold = holds.place(service, recording.id, "legal", "case-1", DPO, clock.now)
        house.back_up(tmp_path / "backup")
        clock.advance(days=3)
        holds.release(service, hold.id, DPO, clock.now)
        assert erasure.finish_erasures(service, clock.now) == 1
        number = erasure.certificate(service, recording.id)["certificate_id"]

    house.restore(tmp_path / "backup")
    with house.running() as service:
        with pytest.raises(RecordingNotFoundError), service.database.read() as connection:
            listening.may_hear(connection, recording.id, "legal", clock.now)
        again = erasure.certificate(service, recording.id)
        assert (again["certificate_id"], again["reason"], again["ordered_by"]) == (number, "expired", "system")
        assert objects(service) == []


def test_p3_what_was_captured_after_the_backup_goes_when_its_day_is_over(house: House, tmp_path: Path) -> None:
    clock = house.clock
    with house.running() as service:
        known = store(service, clock.now, days=5)
        house.back_up(tmp_path / "backup")
        store(service, clock.now, days=3)
        shutil.copytree(house.data / "objects", tmp_path / "bucket")
    house.restore(tmp_path / "backup")
    shutil.rmtree(house.data / "objects")
    shutil.copytree(tmp_path / "bucket", house.data / "objects")  # a bucket is not restored with its database

    with house.running() as service:
        clock.advance(days=2)
        assert restoring.clear_past_days(service, clock.now) == 0
        clock.advance(days=2)
        assert restoring.clear_past_days(service, clock.now) == 3
        clock.advance(days=2)
        assert restoring.clear_past_days(service, clock.now) == 0  # the others are a recording's, which the sweep has
        assert len(objects(service)) == 3
        assert row(service, known.id).state == "stored"
        entries = [line for line in audit.export(service.database) if "objects.cleared" in line]
        assert len(entries) == 1


def test_p3_what_a_hold_moved_after_the_backup_goes_with_its_day(house: House, tmp_path: Path) -> None:
    clock = house.clock
    with house.running() as service:
        recording = store(service, clock.now, days=3)
        house.back_up(tmp_path / "backup")
        holds.place(service, recording.id, "access", None, DPO, clock.now)
        assert sheltering.shelter(service, clock.now) == 1
        shutil.copytree(house.data / "objects", tmp_path / "bucket")
    house.restore(tmp_path / "backup")
    shutil.rmtree(house.data / "objects")
    shutil.copytree(tmp_path / "bucket", house.data / "objects")

    with house.running() as service:
        assert restoring.clear_past_days(service, clock.now) == 0
        clock.advance(days=3, hours=24)
        sweep.sweep(service, clock.now, unattended=False)
        assert restoring.clear_past_days(service, clock.now) == 3
        assert objects(service) == []


def test_what_is_none_of_ours_is_left_where_it_lies(service: Service, clock: MovingClock) -> None:
    """Somebody has made a folder in the bucket by hand, or left a file in one."""
    strangers = [
        f"{HELD}readme",
        f"{HELD}a/b/c/d",
        f"{HELD}x/20260101/y",
        f"{SEGMENTS[0]}/{clock.now:%Y%m%d}/readme",
    ]
    for key in strangers:
        upload = service.vault.objects.create(key, {})
        upload.write(b"!")
        upload.commit()
    clock.advance(days=1)

    assert restoring.clear_past_days(service, clock.now) == 0
    assert sorted(service.vault.objects.keys("")) == sorted(strangers)


def test_a_note_outlives_a_new_root_key_and_goes_with_its_day(house: House) -> None:
    clock = house.clock
    with house.running() as service:
        recording = store(service, clock.now, days=3)
        erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
        keys.rotate(service, DPO, clock.now)
        name = notes.all_names(service)[recording.id]
        assert notes.read(service, name).reason == "dpo_order"
    clock.advance(days=3)
    with house.running() as service:
        sweep.sweep(service, clock.now, unattended=True)
        assert list(notes.all_names(service)) == [recording.id]
        sweep.sweep(service, clock.advance(days=1), unattended=True)
        assert notes.all_names(service) == {}


def test_p5_no_certificate_is_given_while_the_ring_does_not_take_its_note(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.running() as service:
        recording = store(service, house.clock.now)

        def away(*_: object) -> None:
            raise StoreUnavailableError

        with monkeypatch.context() as patch:
            patch.setattr(service.keyring, "note", away)
            certificate = erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=house.clock.now)
        assert certificate is None
        assert objects(service) == []
        assert erasure.finish_erasures(service, house.clock.advance(minutes=6)) == 1
