"""From an order, a withdrawal or a date to a certificate; whatever fails in between, it goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from recorder import erasure, holds
from recorder.actors import Actor
from recorder.errors import ChoiceNeededError, ErasingError, HeldError, RecordingNotFoundError
from recorder.ports import Service
from storage import audit
from storage import clock as clocks
from storage.catalogue import attempts, calls, erasing, evidence, forecast, recordings, seen
from storage.errors import StoreRefusedError, StoreUnavailableError
from tests.conftest import MovingClock
from tests.recorder.dying import dying
from tests.recorder.stored import RENDITIONS, found_by_phone, objects, row, store, store_call
from tests.recorder.waiting import kinds_of_tasks

DPO = Actor("tok_dpo", "dpo")
CUSTOMER = Actor("ses_1", "customer")
CERTIFICATE = {
    "certificate_id",
    "recording_id",
    "segment",
    "reason",
    "ordered_by",
    "due_at",
    "erased_at",
    "verified_at",
    "objects_deleted",
    "key_destroyed",
    "unreadable_in_backups_from",
}


def recordings_kept(service: Service, recording_id: str) -> list[str]:
    """Attempts whose objects are a recording still; the others are erased by the next capture."""
    with service.database.read() as connection:
        return sorted(attempts.kept(connection, recording_id))


def test_an_order_erases_at_once_and_certifies_to_the_second(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "monotonic", lambda: 0.0)
    recording = store(service, clock.now)
    ordered = clock.advance(days=1)
    certificate = erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=ordered)
    assert certificate is not None
    facts = certificate.as_json()
    assert set(facts) == CERTIFICATE
    assert facts["objects_deleted"] == len(RENDITIONS)
    assert facts["ordered_by"] == "dpo"
    assert facts["due_at"] == facts["key_destroyed"] == facts["erased_at"] == "2026-09-04T08:12:00Z"
    assert facts["unreadable_in_backups_from"] == "2026-12-03"
    assert objects(service) == []
    assert found_by_phone(service, ordered) == []
    assert (
        erasure.certificate(service, recording.id) == erasure.certificate(service, certificate.certificate_id) == facts
    )


def test_a_second_order_is_answered_by_the_first_certificate(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    first = erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    again = erasure.erase(service, recording.id, reason="mistake", actor=DPO, now=clock.advance(hours=1))
    assert first is not None
    assert again == first


def test_nothing_of_the_call_outlives_its_last_recording(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    one, two = store(service, clock.now, call=call), store(service, clock.now, call=call)
    erasure.erase(service, one.id, reason="dpo_order", actor=DPO, now=clock.now)
    with service.database.read() as connection:
        kept = calls.get(connection, call.id)
        assert kept is not None
        assert kept.sealed is not None
        assert len(evidence.consents_of(connection, [call.id])) == 1
    erasure.erase(service, two.id, reason="dpo_order", actor=DPO, now=clock.now)
    with service.database.read() as connection:
        blank = calls.get(connection, call.id)
        assert blank is not None
        assert (blank.state, blank.sealed, blank.call_key, blank.key_id, blank.ref) == ("blank",) + (None,) * 4
        assert blank.started_at is None
        assert blank.ended_at is None
        assert blank.opened_at.time().isoformat() == "00:00:00"
        assert evidence.consents_of(connection, [call.id]) == []


def test_p6_a_call_that_goes_on_past_midnight_stays(service: Service, clock: MovingClock) -> None:
    clock.advance(hours=15, minutes=46)  # 23:58 UTC
    call = store_call(service, clock.now, state="open")
    recording = store(service, clock.now, call=call)
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.advance(minutes=7))
    with service.database.read() as connection:
        going_on = calls.get(connection, call.id)
        assert going_on is not None
        assert (going_on.state, going_on.ref) == ("open", call.ref)
    another = store(service, clock.now, call=going_on)
    erasure.erase(service, another.id, reason="dpo_order", actor=DPO, now=clock.advance(days=1))
    with service.database.read() as connection:
        assert getattr(calls.get(connection, call.id), "state", None) == "blank"


def test_a_replayed_callback_finds_that_it_was_here(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    recording = store(service, clock.now, call=call)
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert recording.ref is not None
    assert call.ref is not None
    with service.database.read() as connection:
        assert seen.has(connection, recording.ref)
        assert seen.has(connection, call.ref)
        assert recordings.get(connection, recording.id) is None


@pytest.mark.parametrize("database_kind", ["sqlite"])  # its own log; a server's is the business of who runs it
def test_p3_the_write_ahead_log_remembers_nothing(service: Service, clock: MovingClock, tmp_path: Path) -> None:
    recording = store(service, clock.now)
    assert recording.dek is not None
    files = [tmp_path / "data" / name for name in ("recorder.sqlite", "recorder.sqlite-wal")]
    assert any(recording.dek in path.read_bytes() for path in files)
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert not any(recording.dek in path.read_bytes() for path in files)


def test_there_is_nothing_to_erase_twice_or_that_never_was(service: Service, clock: MovingClock) -> None:
    with pytest.raises(RecordingNotFoundError):
        erasure.erase(service, "rec_unknown", reason="dpo_order", actor=DPO, now=clock.now)
    with pytest.raises(RecordingNotFoundError):
        erasure.certificate(service, "rec_unknown")


def test_p3_a_store_that_is_away_delays_the_certificate_and_nothing_else(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)
    away = True
    delete = service.vault.objects.delete_many

    def unreliable(keys: Sequence[str]) -> dict[str, int]:
        if away:
            raise StoreUnavailableError
        return delete(keys)

    monkeypatch.setattr(service.vault.objects, "delete_many", unreliable)
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now) is None
    erasing = row(service, recording.id)
    assert (erasing.state, erasing.dek, erasing.sealed, erasing.key_id) == ("erasing", None, None, None)
    assert erasing.certificate_id is not None
    assert found_by_phone(service, clock.now) == []
    with pytest.raises(ErasingError):
        erasure.certificate(service, recording.id)
    assert erasure.finish_erasures(service, clock.advance(hours=2)) == 0
    assert kinds_of_tasks(service) == ["erasure_late"]
    away = False
    assert erasure.finish_erasures(service, clock.advance(hours=1)) == 1
    assert kinds_of_tasks(service) == []
    assert erasure.certificate(service, recording.id)["certificate_id"] == erasing.certificate_id


def test_an_object_that_stays_is_never_certified_gone(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now) is None
    assert row(service, recording.id).state == "erasing"


def test_killed_between_deleting_and_counting_still_counts(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    with dying("erase.deleted"):
        erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert objects(service) == []
    certificate = erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert certificate is not None
    assert certificate.objects_deleted == len(RENDITIONS)


def test_p3_one_object_the_store_keeps_keeps_back_no_other(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [store(service, clock.now - timedelta(days=90)).id for _ in range(5)]
    with service.database.write() as connection:
        erasure.claim_due(connection, ids, DPO, clock.now)
    with service.database.read() as connection:
        locked = next(iter(erasing.objects(connection, ids)[ids[3]]))
    asked: list[int] = []
    delete = service.vault.objects.delete_many

    def refusing(keys: Sequence[str]) -> dict[str, int]:
        asked.append(len(keys))
        gone = delete([key for key in keys if key != locked])
        if locked in keys:
            raise StoreRefusedError("held there")
        return gone

    monkeypatch.setattr(service.vault.objects, "delete_many", refusing)
    assert erasure.finish_erasures(service, clock.now) == 4
    assert row(service, ids[3]).state == "erasing"
    assert asked[0] == 5 * len(RENDITIONS)
    certificates = [erasure.certificate(service, one) for one in ids if one != ids[3]]
    assert {one["objects_deleted"] for one in certificates} == {len(RENDITIONS)}
    monkeypatch.setattr(service.vault.objects, "delete_many", delete)
    assert erasure.finish_erasures(service, clock.advance(minutes=5)) == 1
    assert erasure.certificate(service, ids[3])["objects_deleted"] == len(RENDITIONS)


def test_an_erasure_in_somebodys_hands_is_left_alone_for_a_minute(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=90))
    with service.database.write() as connection:
        erasure.claim_due(connection, [recording.id], DPO, clock.now)
    with dying("erase.deleted"):
        erasure.finish_erasures(service, clock.now)
    assert erasure.finish_erasures(service, clock.advance(seconds=59)) == 0
    assert erasure.finish_erasures(service, clock.advance(seconds=1)) == 1


@pytest.mark.parametrize("kind", ["legal", "dispute", "restriction"])
def test_an_order_is_refused_while_a_strict_hold_stands(service: Service, clock: MovingClock, kind: str) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, kind, "case-7", DPO, clock.now)
    assert erasure.preview(service, recording.id)["verdict"] == "refuse"
    with pytest.raises(HeldError):
        erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert row(service, recording.id).state == "stored"
    holds.release(service, hold.id, DPO, clock.now)
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now) is not None


def test_an_order_warns_of_an_open_request_and_then_goes(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    preview = erasure.preview(service, recording.id)
    assert (preview["verdict"], preview["objects"], preview["renditions"]) == ("warn", 3, sorted(RENDITIONS))
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now) is not None


def test_a_withdrawal_erases_every_recording_of_the_call(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    one, two = store(service, clock.now, call=call), store(service, clock.now, call=call)
    other = store(service, clock.now)
    done = erasure.withdraw(service, one.id, CUSTOMER, clock.now)
    assert {certificate.recording_id for certificate in done.certificates} == {one.id, two.id}
    assert {(certificate.reason, certificate.ordered_by) for certificate in done.certificates} == {
        ("withdrawn", "customer")
    }
    assert row(service, other.id).state == "stored"


def test_a_withdrawal_promises_no_certificate_of_what_was_never_stored(service: Service, clock: MovingClock) -> None:
    call = store_call(service, clock.now)
    one, announced = store(service, clock.now, call=call), store(service, clock.now, call=call)
    with service.database.write() as connection:
        recordings.change(connection, announced.id, state="announced", dek=None)
    done = erasure.withdraw(service, one.id, CUSTOMER, clock.now)
    assert [certificate.recording_id for certificate in done.certificates] == [one.id]
    assert (done.erasing, done.waiting) == ([], [])
    assert row(service, announced.id).certificate_id is None


def test_a_withdrawal_asks_while_a_copy_is_due(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    with pytest.raises(ChoiceNeededError):
        erasure.withdraw(service, recording.id, CUSTOMER, clock.now)
    assert row(service, recording.id).erase_reason is None
    with service.database.read() as connection:
        assert [one.decision for one in evidence.consents_of(connection, [recording.call_id])] == ["granted"]
    done = erasure.withdraw(service, recording.id, CUSTOMER, clock.now, choice="delete_now")
    assert len(done.certificates) == 1


def test_a_copy_first_waits_for_the_hold_and_then_goes_by_itself(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")
    withdrawn = clock.now
    done = erasure.withdraw(service, recording.id, CUSTOMER, withdrawn, choice="copy_first")
    assert done.waiting == [recording.id]
    assert row(service, recording.id).state == "stored"
    holds.release(service, hold.id, DPO, clock.advance(days=3))
    assert row(service, recording.id).state == "erasing"
    assert erasure.finish_erasures(service, clock.now) == 1
    certificate = erasure.certificate(service, recording.id)
    assert (certificate["reason"], certificate["ordered_by"]) == ("withdrawn", "customer")
    assert certificate["due_at"] == "2026-09-03T08:12:00Z"


def test_a_withdrawal_waits_for_a_legal_hold_whatever_the_person_chose(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "legal", "case-7", DPO, clock.now)
    done = erasure.withdraw(service, recording.id, CUSTOMER, clock.now, choice="delete_now")
    assert done.waiting == [recording.id]
    assert row(service, recording.id).state == "stored"


def test_p1_what_is_not_stored_yet_never_will_be(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    with service.database.write() as connection:
        recordings.change(connection, recording.id, state="capturing")
    assert erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now) is None
    assert (row(service, recording.id).state, row(service, recording.id).sealed) == ("discarded", None)
    assert not recordings_kept(service, recording.id)


@pytest.mark.parametrize("order", ["erase", "withdraw"])
def test_the_jobs_an_order_leaves_work_to_are_woken(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    recording = store(service, clock.now)
    woken: list[str] = []
    monkeypatch.setattr(service.wake, "answer", woken.append)
    if order == "erase":
        erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    else:
        erasure.withdraw(service, recording.id, CUSTOMER, clock.now)
    assert woken == ["capture", "leftovers", "source"]


def test_p5_each_step_leaves_an_entry_and_no_time_of_the_call(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    clock.advance(days=1)
    holds.place(service, recording.id, "access", None, DPO, clock.now)
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert audit.verify(service.database).ok
    entries = [line for line in audit.export(service.database) if recording.id in line]
    assert [json.loads(line)["entry"]["type"] for line in entries] == [
        "hold.placed",
        "hold.released",
        "recording.erasing",
        "recording.erased",
    ]
    assert not any("2026-09-03" in line or "+45" in line for line in entries)


def test_an_erased_recording_is_no_longer_foreseen(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    with service.database.read() as connection:
        assert forecast.expected(connection, "20261202") == 0


def test_the_day_in_a_certificate_is_the_last_that_any_key_had(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    clock.advance(days=60)
    service.keyring.ensure(clock.now)
    hold = holds.place(service, recording.id, "legal", "case-7", DPO, clock.now)
    holds.release(service, hold.id, DPO, clock.now)
    certificate = erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert certificate is not None
    assert certificate.unreadable_in_backups_from == (date(2026, 11, 2) + timedelta(days=91)).isoformat()


def test_nothing_is_left_in_the_folder(service: Service, clock: MovingClock, tmp_path: Path) -> None:
    recording = store(service, clock.now)
    folder = tmp_path / "data" / "objects"
    assert any(path.is_file() for path in folder.rglob("*") if "private_inbound" in str(path))
    erasure.erase(service, recording.id, reason="dpo_order", actor=DPO, now=clock.now)
    assert not [path for path in folder.rglob("*") if path.is_file() and "private_inbound" in str(path)]
