"""What a key takes with it when its day is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from recorder import capture, personal, sweep
from recorder.erasure import disposal
from recorder.ports import Service
from storage.catalogue import attempts, calls, evidence, recordings, source_deletions, tasks
from storage.catalogue.attempts import Attempt
from storage.catalogue.calls import Call
from storage.catalogue.evidence import Consent
from storage.catalogue.recordings import Recording
from storage.clock import new_id, utc_day
from storage.errors import KeyDestroyedError, KeyUnavailableError
from tests.conftest import MovingClock
from tests.recorder.dying import dying
from tests.recorder.logged import logged
from tests.recorder.stored import AUDIO, row, store


def uploaded(service: Service, recording_id: str, now: datetime) -> Attempt:
    """What a process leaves that died between an upload and its row."""
    key, upload_id = service.vault.object_key("private_inbound", utc_day(now + timedelta(days=90))), "0" * 32
    writer = service.vault.writer(
        recording_id=recording_id,
        rendition="original",
        dek=service.vault.new_dek(),
        object_key=key,
        tags={},
        upload_id=upload_id,
    )
    writer.write(AUDIO)
    writer.commit()
    return Attempt(new_id("att"), recording_id, 1, "original", key, now, upload_id)


def test_p3_what_was_never_captured_and_goes_with_its_key_goes_at_its_platform_too(
    service: Service, clock: MovingClock
) -> None:
    """As after nine days in which nothing ran."""
    now = clock.now
    call = Call(
        id=new_id("cal"),
        platform="standard",
        opened_at=now,
        started_at=now,
        ended_at=now,
        opened=True,
        ref=b"ref-1",
        segment="private_inbound",
        direction="inbound",
        state="over",
        settle_at=now + timedelta(hours=24),
    )
    call, secret = personal.keyed(service, call, {"from": "+4520123456", "platform_call_id": "pbx-81"}, now)
    announced = Recording(
        id=new_id("rec"), call_id=call.id, platform="standard", ref=b"ref-2", available_at=now, next_try_at=now
    )
    where = {"platform_recording_id": "r-1", "platform_call_id": "pbx-81", "url": "https://pbx.example/r-1.wav"}
    announced = replace(announced, sealed=personal.seal(secret, "recordings", announced.id, where))
    begun = uploaded(service, announced.id, now)
    with service.database.write() as connection:
        calls.insert(connection, call)
        evidence.add_consent(connection, Consent(new_id("cns"), call.id, "granted", now, digit="1"))
        recordings.insert(connection, announced)
        attempts.add(connection, begun)

    now = clock.advance(days=9)
    service.keyring.ensure(now)
    sweep.sweep(service, now, unattended=False)

    assert row(service, announced.id).state == "discarded"
    with service.database.read() as connection:
        noted = connection.execute(select(source_deletions.source_deletions.c.recording_id)).scalars().all()
    assert noted == [announced.id]
    capture.erase_leftovers(service)
    assert service.vault.objects.remaining(begun.object_key) == 0


def test_p3_a_key_lets_go_of_its_calls_slice_by_slice_and_goes_on_after_a_crash(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disposal, "BATCH", 3)
    key = service.keyring.day_key(clock.now.date(), clock.now)
    names = [f"call_{number}" for number in range(7)]
    with service.database.write() as connection:
        for name in names:
            calls.insert(connection, Call(name, "standard", clock.now, state="over", key_id=key.id))
            recordings.insert(connection, Recording(f"rec_{name}", name, "standard"))
    clock.advance(days=1)

    with dying("sweep.let_go"):
        sweep.destroy_due_keys(service, clock.now)
    assert sorted(states(service, names)) == ["blank"] * 3 + ["over"] * 4
    assert service.keyring.key(key.id, clock.now).id == key.id
    with pytest.raises(KeyDestroyedError):
        service.keyring.day_key(key.day, clock.now)

    assert sweep.destroy_due_keys(service, clock.now) == 1
    assert states(service, names) == ["blank"] * 7
    assert sorted(one["subject"] for one in logged(service, "call.let_go")) == names
    discarded = logged(service, "recording.discarded")
    assert sorted(one["subject"] for one in discarded) == [f"rec_{name}" for name in names]
    with pytest.raises(KeyDestroyedError):
        service.keyring.key(key.id, clock.now)


def test_nobody_is_asked_to_see_to_a_capture_whose_key_has_gone(service: Service, clock: MovingClock) -> None:
    key = service.keyring.day_key(clock.now.date(), clock.now)
    with service.database.write() as connection:
        calls.insert(connection, Call("call_1", "standard", clock.now, state="over", key_id=key.id))
        recordings.insert(connection, Recording("rec_1", "call_1", "standard", state="failed"))
        tasks.open_task(connection, "capture_failed", "rec_1", clock.now)
    clock.advance(days=1)

    sweep.destroy_due_keys(service, clock.now)

    with service.database.read() as connection:
        assert tasks.open_tasks(connection) == []


def test_p3_a_key_takes_what_is_due_along_though_no_sweep_claimed_it(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now - timedelta(days=90))
    clock.advance(days=1)

    assert sweep.destroy_due_keys(service, clock.now)

    assert row(service, recording.id).state == "erasing"
    assert [one["subject"] for one in logged(service, "recording.erasing")] == [recording.id]
    with pytest.raises(KeyDestroyedError):
        service.keyring.key(str(recording.key_id), clock.now)


@pytest.mark.parametrize(("purpose", "days"), [("day", 1), ("inbox", 9)])
def test_people_are_told_of_a_key_at_one_in_the_morning_of_the_day_it_should_have_gone(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, purpose: str, days: int
) -> None:
    today = clock.now.date()
    key = service.keyring.day_key(today, clock.now) if purpose == "day" else service.keyring.inbox_key(clock.now)
    due = datetime(today.year, today.month, today.day, 1, tzinfo=UTC) + timedelta(days=days)

    def overdue(now: datetime) -> bool:
        sweep.destroy_due_keys(service, now)
        with service.database.read() as connection:
            return key.id in {one.subject_id for one in tasks.open_tasks(connection, kind="key_overdue")}

    with monkeypatch.context() as patch:
        patch.setattr(service.keyring, "destroy", away)
        assert not overdue(due - timedelta(seconds=1))
        assert overdue(due)
    assert not overdue(due)


def away(*_: object) -> None:
    raise KeyUnavailableError


def states(service: Service, call_ids: Sequence[str]) -> list[str]:
    with service.database.read() as connection:
        return [one.state for one in calls.many(connection, call_ids).values()]
