"""The sweep: on time, in order, stopped by its brakes, and final even for whoever has yesterday's backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from recorder import erasure, holds, personal, sweep
from recorder.actors import SYSTEM, Actor
from recorder.erasure import disposal
from recorder.errors import BrakeError
from recorder.ports import Service
from storage import audit
from storage.catalogue import calls, forecast, recordings, source_deletions
from storage.catalogue.recordings import Recording
from storage.catalogue.source_deletions import SourceDeletion
from storage.errors import KeyDestroyedError, KeyUnavailableError, RecorderError, StoreUnavailableError
from storage.tables import metadata
from tests.conftest import MovingClock
from tests.recorder.backups import House
from tests.recorder.logged import logged
from tests.recorder.stored import AUDIO, found_by_phone, hear, row, store
from tests.recorder.telling import open_tasks

DPO = Actor("tok_dpo", "dpo")
OPERATOR = Actor("cli", "operator")
RECORDINGS = metadata.tables["recordings"]


def sql(service: Service, statement: object) -> object:
    with service.database.write() as connection:
        return connection.execute(statement).rowcount  # type: ignore[call-overload]


def test_what_is_due_goes_and_what_is_not_stays(service: Service, clock: MovingClock) -> None:
    due, later = store(service, clock.now - timedelta(days=90)), store(service, clock.now - timedelta(days=89))
    report = sweep.sweep(service, clock.now, unattended=True)
    assert (report.claimed, report.erased, report.unfinished) == (1, 1, 0)
    assert erasure.certificate(service, due.id)["reason"] == "expired"
    assert row(service, later.id).state == "stored"
    assert [one["subject"] for one in logged(service, "recording.erasing")] == [due.id]
    assert audit.verify(service.database).ok


def test_what_is_due_can_be_named_by_ids_before_it_goes(service: Service, clock: MovingClock) -> None:
    second, first = store(service, clock.now - timedelta(days=91)), store(service, clock.now - timedelta(days=92))
    store(service, clock.now - timedelta(days=89))
    assert sweep.due_ids(service, sweep.plan(service, clock.now)) == [first.id, second.id]


def test_a_certificate_of_expiry_tells_days_and_never_a_time(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    clock.advance(days=90, minutes=4)
    sweep.sweep(service, clock.now, unattended=True)
    facts = erasure.certificate(service, recording.id)
    assert facts["due_at"] == facts["key_destroyed"] == facts["erased_at"] == facts["verified_at"] == "2026-12-02"
    assert facts["unreadable_in_backups_from"] == "2026-12-03"
    stone = metadata.tables["tombstones"]
    with service.database.read() as connection:
        kept = connection.execute(select(stone)).mappings().one()
    moments = [value for value in kept.values() if isinstance(value, datetime)]
    assert len(moments) == 4
    assert all(moment.time().isoformat() == "00:00:00" for moment in moments)


def test_the_plan_touches_nothing_and_says_what_the_sweep_does(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=90))
    held = store(service, clock.now - timedelta(days=80))
    holds.place(service, held.id, "legal", None, DPO, clock.now)
    clock.advance(days=11)
    plan = sweep.plan(service, clock.now)
    assert (plan.due, plan.waiting, plan.segments, plan.brakes) == (1, 1, {"private_inbound": 1}, [])
    assert row(service, recording.id).state == "stored"
    assert sweep.sweep(service, clock.now, unattended=True).claimed == plan.due


def test_more_than_a_batch_goes_in_one_sweep(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disposal, "BATCH", 2)
    monkeypatch.setattr(erasure, "AT_ONCE", 3)
    for _ in range(5):
        store(service, clock.now - timedelta(days=90))
    told: list[int] = []
    report = sweep.sweep(service, clock.now, unattended=True, progress=told.append)
    assert (report.claimed, report.erased) == (5, 5)
    assert told == [3, 5]


def test_p3_day_keys_go_on_time_though_the_store_is_away(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)
    backup = row(service, recording.id)

    monkeypatch.setattr(service.vault.objects, "delete_many", away)
    clock.now = datetime(2026, 12, 3, 0, 5, tzinfo=UTC)
    report = sweep.sweep(service, clock.now, unattended=True)
    assert (report.claimed, report.erased, report.unfinished) == (1, 0, 1)
    assert report.keys_destroyed > 0
    with pytest.raises(KeyDestroyedError):
        hear(service, backup, clock.now)


def test_p5_no_key_goes_without_its_entry(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = service.keyring.day_key(clock.now.date(), clock.now)
    clock.advance(days=1)
    with monkeypatch.context() as patch:
        patch.setattr("recorder.sweep.key_destruction.audit.append", away)
        assert sweep.destroy_due_keys(service, clock.now) == 0
    assert destroyed(service, key.id) == 0
    sweep.destroy_due_keys(service, clock.now)
    sweep.destroy_due_keys(service, clock.now)
    assert destroyed(service, key.id) == 1


def away(*_: object, **__: object) -> None:
    raise StoreUnavailableError


def destroyed(service: Service, key_id: str) -> int:
    """How often the log says that a key is gone, which its row must say too."""
    with service.database.read() as connection:
        row = connection.execute(select(metadata.tables["keys"].c.state).where(metadata.tables["keys"].c.id == key_id))
        said = sum("key.destroyed" in line and key_id in line for line in audit.export(service.database))
        assert (row.scalar_one() == "destroyed") == bool(said)
    return said


def test_p3_keys_of_days_to_come_stay(service: Service, clock: MovingClock) -> None:
    today, tomorrow = store(service, clock.now - timedelta(days=90)), store(service, clock.now - timedelta(days=89))
    sweep.sweep(service, clock.now, unattended=True)
    assert hear(service, row(service, tomorrow.id), clock.now) == AUDIO
    assert service.keyring.key(str(today.key_id), clock.now).day == clock.now.date()


def test_a_key_ring_that_is_away_is_asked_again_and_people_are_told(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = store(service, clock.now)
    destroy = service.keyring.destroy

    def away(key_id: str, now: datetime, note: object) -> None:
        raise KeyUnavailableError

    monkeypatch.setattr(service.keyring, "destroy", away)
    clock.now = datetime(2026, 12, 3, 0, 59, tzinfo=UTC)
    sweep.sweep(service, clock.now, unattended=True)
    assert ("key_overdue", recording.key_id) not in open_tasks(service)
    sweep.sweep(service, clock.advance(minutes=5), unattended=True)
    assert ("key_overdue", recording.key_id) in open_tasks(service)
    monkeypatch.setattr(service.keyring, "destroy", destroy)
    sweep.sweep(service, clock.advance(minutes=5), unattended=True)
    assert ("key_overdue", recording.key_id) not in open_tasks(service)


def test_a_key_something_kept_still_hangs_on_is_not_destroyed(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    sql(service, update(RECORDINGS).values(holds=1))  # held by nobody we know: a mistake, and no reason to lose it
    clock.now = datetime(2026, 12, 3, 2, tzinfo=UTC)
    sweep.sweep(service, clock.now, unattended=False, actor=OPERATOR)
    assert hear(service, row(service, recording.id), clock.now) == AUDIO
    assert ("key_overdue", recording.key_id) in open_tasks(service)


def test_p3_inbox_keys_go_after_eight_days_and_what_hangs_on_them_is_blanked(
    service: Service, clock: MovingClock
) -> None:
    key = service.keyring.inbox_key(clock.now)
    call, _ = personal.keyed(service, calls.Call("cal_1", "standard", clock.now), {"from": "+4520123456"}, clock.now)
    call = replace(call, ref=b"ref of the call", started_at=clock.now)
    with service.database.write() as connection:
        calls.insert(connection, call)
        recordings.insert(connection, Recording("rec_1", "cal_1", "standard", ref=b"ref", state="failed"))
    service.inbox.submit("standard", b"call", b"mark", b"{}", clock.now).result(10)
    clock.advance(days=8)
    service.keyring.ensure(clock.now)
    sweep.sweep(service, clock.now, unattended=True)
    assert service.keyring.key(key.id, clock.now)
    clock.advance(days=1)
    service.keyring.ensure(clock.now)
    sweep.sweep(service, clock.now, unattended=True)
    with pytest.raises(KeyDestroyedError):
        service.keyring.key(key.id, clock.now)
    with service.database.read() as connection:
        blank = calls.get(connection, "cal_1")
    assert blank is not None
    assert (blank.call_key, blank.sealed, blank.key_id) == (None, None, None)
    assert (blank.state, blank.ref, blank.started_at) == ("blank", None, None)
    assert (row(service, "rec_1").state, row(service, "rec_1").ref) == ("discarded", None)
    assert [kind for kind, _ in open_tasks(service)] == ["event_failed"]  # lost, and people know


def test_a_machine_that_was_off_for_a_month_just_goes_on(service: Service, clock: MovingClock) -> None:
    for days in (90, 80, 70):
        store(service, clock.now - timedelta(days=days))
    clock.advance(days=30)
    assert sweep.sweep(service, clock.now, unattended=True).erased == 3


def test_more_due_than_foreseen_stops_for_a_day_and_alarms(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=1))
    sql(service, update(RECORDINGS).values(expires_at=clock.now))  # a mistake in a policy, a hand in the database
    with pytest.raises(BrakeError):
        sweep.sweep(service, clock.now, unattended=True)
    assert row(service, recording.id).state == "stored"
    assert open_tasks(service) == {("sweep_brake", "forecast")}
    with pytest.raises(BrakeError):
        sweep.sweep(service, clock.advance(hours=23, minutes=55), unattended=True)
    assert sweep.sweep(service, clock.advance(minutes=5), unattended=True).erased == 1
    sweep.sweep(service, clock.advance(minutes=5), unattended=True)
    assert open_tasks(service) == set()
    assert [one["body"] for one in logged(service, "sweep.stopped")] == [{"brakes": ["forecast"]}]


def test_a_person_sees_the_brake_and_goes_on(service: Service, clock: MovingClock) -> None:
    store(service, clock.now - timedelta(days=1))
    sql(service, update(RECORDINGS).values(expires_at=clock.now))
    assert [brake.kind for brake in sweep.plan(service, clock.now).brakes] == ["forecast"]
    report = sweep.sweep(service, clock.now, unattended=False, actor=OPERATOR)
    assert report.erased == 1
    assert any("in spite of forecast" in line for line in report.lines())
    assert sweep.plan(service, clock.now).brakes == []


def test_fewer_than_foreseen_stops_when_the_day_is_over(service: Service, clock: MovingClock) -> None:
    store(service, clock.now - timedelta(days=89))
    with service.database.write() as connection:
        forecast.adjust(connection, f"{clock.now:%Y%m%d}", +1)
    sweep.sweep(service, clock.now, unattended=True)
    with pytest.raises(BrakeError):
        sweep.sweep(service, clock.advance(days=1), unattended=True)


@pytest.mark.parametrize("wrong", [timedelta(days=91), timedelta(minutes=-6)])
def test_a_second_clock_that_disagrees_stops_before_anything_goes(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    recording = store(service, clock.now)
    real = clock.now
    monkeypatch.setattr(service.vault.objects, "clock", lambda: real)
    clock.now += wrong
    with pytest.raises(BrakeError):
        sweep.sweep(service, clock.now, unattended=True)
    assert hear(service, row(service, recording.id), real) == AUDIO


def test_a_clock_behind_the_log_stops(service: Service, clock: MovingClock) -> None:
    with service.database.write() as connection:
        audit.append(connection, type="test.made", actor=SYSTEM.id, subject="x", body={}, now=clock.now)
    with pytest.raises(BrakeError):
        sweep.sweep(service, clock.now - timedelta(hours=1), unattended=True)


def test_marks_are_forgotten_after_100_days(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=90))
    sweep.sweep(service, clock.now, unattended=True)
    copy = SourceDeletion("src_1", b"ref", "standard", "kept", clock.now, clock.now, state="done")
    with service.database.write() as connection:
        source_deletions.add(connection, copy)
    counted = select(
        select(func.count()).select_from(metadata.tables["seen"]).scalar_subquery()
        + select(func.count()).select_from(metadata.tables["source_deletions"]).scalar_subquery()
    )
    for days, left in ((100, True), (1, False)):
        clock.advance(days=days)
        sweep.sweep(service, clock.now, unattended=True)
        with service.database.read() as connection:
            assert bool(connection.execute(counted).scalar_one()) is left
    assert erasure.certificate(service, recording.id)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_server_whose_clock_disagrees_stops_the_sweep(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # from here on its own clock counts: months from where ours stands
    with pytest.raises(BrakeError, match="clock of the database"):
        sweep.sweep(service, service.clock(), unattended=True)


def test_p3_a_backup_restored_beside_todays_key_ring_opens_for_nobody(
    house: House, clock: MovingClock, tmp_path: Path
) -> None:
    with house.running() as service:
        recording = store(service, clock.now)
        ended = clock.now
        assert hear(service, recording, clock.now) == AUDIO
        assert found_by_phone(service, clock.now) == [recording.id]
    house.back_up(tmp_path / "backup")

    clock.advance(days=91)
    with house.running() as service:
        assert sweep.sweep(service, clock.now, unattended=True).erased == 1

    house.restore(tmp_path / "backup")
    with house.running() as service:
        old = row(service, recording.id)
        assert old.state == "stored"
        assert list(service.vault.objects.keys("private_inbound"))  # the bytes are there again
        for now in (clock.now, ended):  # and a clock set back helps nobody
            with pytest.raises(RecorderError, match="key"):
                hear(service, old, now)
            with pytest.raises(RecorderError, match="key"):
                service.keyring.key(str(old.key_id), now)
        with service.database.read() as connection:
            call = calls.get(connection, recording.call_id)
            assert call is not None
            assert call.sealed is not None
        with pytest.raises(RecorderError, match="key"):
            personal.of_call(service, call, clock.now)
        with service.database.read() as connection:
            marks = set(connection.execute(select(metadata.tables["marks"].c.mark)).scalars())
        assert marks
        assert found_by_phone_under_live_keys(service, clock.now) == []
        sweep.sweep(service, clock.now, unattended=False, actor=OPERATOR)
        assert erasure.certificate(service, recording.id)["reason"] == "expired"


def found_by_phone_under_live_keys(service: Service, now: datetime) -> list[str]:
    """The best a search can do: a mark under every key that the ring still gives."""
    from storage import columns
    from tests.recorder.stored import PHONE

    keys = metadata.tables["keys"]
    with service.database.read() as connection:
        ids = list(connection.execute(select(keys.c.id).where(keys.c.purpose == "day")).scalars())
    marks = []
    for key_id in ids:
        try:
            marks.append(columns.mark(service.keyring.key(key_id, now), "phone", PHONE))
        except (KeyDestroyedError, KeyUnavailableError):
            continue
    assert marks
    with service.database.read() as connection:
        return [one.id for one in recordings.find_marked(connection, marks)]
