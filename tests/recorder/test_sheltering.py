"""What is held moves out of reach of any rule by which a bucket deletes by itself, and loses nothing on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from recorder import erasure, faultpoints, holds, sweep
from recorder.actors import Actor
from recorder.holds import sheltering
from recorder.ports import Service
from storage.catalogue import attempts, erasing, tasks
from storage.catalogue import holds as hold_rows
from storage.catalogue.recordings import Recording
from tests.conftest import MovingClock
from tests.recorder.dying import dying
from tests.recorder.stored import AUDIO, hear, objects, row, store

DPO = Actor("tok_dpo", "dpo")


def held(service: Service, clock: MovingClock) -> Recording:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "legal", None, DPO, clock.now)
    return recording


def at(step: str, act: Callable[[], None]) -> Callable[[str], None]:
    def listen(name: str) -> None:
        if name == step:
            act()

    return listen


def test_p3_a_held_recording_lies_elsewhere_and_nothing_of_it_where_it_lay(
    service: Service, clock: MovingClock
) -> None:
    recording, other = held(service, clock), store(service, clock.now)

    assert sheltering.shelter(service, clock.now) == 1
    assert sheltering.shelter(service, clock.now) == 0
    here, there = objects(service)[:3], objects(service)[3:]
    assert all(key.startswith("hold/private_inbound/") for key in here)
    assert all(key.startswith("private_inbound/") for key in there)
    assert service.vault.objects.tags(here[0]) == {"segment": "private_inbound", "hold": "1"}
    assert hear(service, row(service, recording.id), clock.now) == AUDIO
    assert hear(service, other, clock.now) == AUDIO
    assert len(there) == 3


def test_p3_it_goes_from_there_when_the_hold_ends(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "legal", None, DPO, clock.now)
    sheltering.shelter(service, clock.now)

    clock.advance(days=89)
    holds.release(service, hold.id, DPO, clock.now)
    assert hear(service, row(service, recording.id), clock.now) == AUDIO
    clock.advance(days=2)
    sweep.sweep(service, clock.now, unattended=False)
    assert objects(service) == []
    assert erasure.certificate(service, recording.id)["objects_deleted"] == 3


@pytest.mark.parametrize("step", ["hold.copying", "hold.copied", "hold.moved"])
def test_p6_a_process_that_dies_on_the_way_loses_nothing_and_leaves_nothing(
    service: Service, clock: MovingClock, step: str
) -> None:
    recording = held(service, clock)
    with dying(step):
        sheltering.shelter(service, clock.now)
    assert hear(service, row(service, recording.id), clock.now) == AUDIO

    sheltering.shelter(service, clock.now)
    sheltering.erase_lost(service)
    assert len(objects(service)) == 3
    assert all(key.startswith("hold/") for key in objects(service))
    assert hear(service, row(service, recording.id), clock.now) == AUDIO


@pytest.mark.parametrize("step", ["hold.copying", "hold.copied"])
def test_p3_what_is_erased_meanwhile_leaves_no_copy(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    recording = store(service, clock.now)
    holds.place(service, recording.id, "access", None, DPO, clock.now, request_id="req_1")

    def erase() -> None:
        erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.now)

    monkeypatch.setattr(faultpoints, "hook", at(step, erase))
    assert sheltering.shelter(service, clock.now) == 0
    assert objects(service) == []


def test_p6_two_that_move_the_same_recording_leave_one_copy(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = held(service, clock)
    others: list[int] = []

    def another() -> None:
        if not others:
            others.append(0)
            others[0] = sheltering.shelter(service, clock.now)

    monkeypatch.setattr(faultpoints, "hook", at("hold.copied", another))
    assert sheltering.shelter(service, clock.now) + others[0] == 1
    assert len(objects(service)) == 3
    assert hear(service, row(service, recording.id), clock.now) == AUDIO


@pytest.mark.parametrize("act", ["released", "moved"])
def test_p6_what_needs_no_move_any_more_holds_up_no_other(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "legal", None, DPO, clock.now)
    held(service, clock)
    unsheltered = attempts.unsheltered

    def meanwhile(connection: Connection, limit: int) -> list[str]:
        found = unsheltered(connection, limit)
        monkeypatch.setattr(attempts, "unsheltered", lambda *_: [recording.id])
        if act == "moved":
            assert sheltering.shelter(service, clock.now) == 1
        else:
            holds.release(service, hold.id, DPO, clock.now)
        return sorted(found, key=lambda one: one != recording.id)

    monkeypatch.setattr(attempts, "unsheltered", meanwhile)
    assert sheltering.shelter(service, clock.now) == 1
    assert len(objects(service)) == 6
    assert len([key for key in objects(service) if key.startswith("hold/")]) == (6 if act == "moved" else 3)


def test_p6_a_store_that_is_away_holds_up_no_other(
    service: Service, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, other = held(service, clock), held(service, clock)
    with service.database.read() as connection:
        gone = attempts.kept(connection, recording.id)["original"].object_key
    service.vault.erase_object(gone)  # as if somebody had

    assert sheltering.shelter(service, clock.now) == 1
    assert hear(service, row(service, other.id), clock.now) == AUDIO
    clock.advance(seconds=timedelta(minutes=5).total_seconds())
    assert sheltering.shelter(service, clock.now) == 0
    assert len(objects(service)) == 3 + 2


def test_p6_what_cannot_be_moved_does_not_stand_before_what_can(service: Service, clock: MovingClock) -> None:
    """A legal hold whose objects stay where they are is worth nothing from the day on which the bucket deletes."""
    for _ in range(4):
        held(service, clock)
    with service.database.read() as connection:
        first = attempts.unsheltered(connection, 1)[0]
        damaged = attempts.kept(connection, first)["original"].object_key
    service.vault.objects.delete(damaged)

    for _ in range(100):
        sheltering.shelter(service, clock.now, limit=1)

    with service.database.read() as connection:
        assert attempts.unsheltered(connection, 10) == [first]


@pytest.fixture
def stuck(service: Service, clock: MovingClock) -> tuple[Recording, Path]:
    """A held recording one of whose objects is not where it should be: its file, once somebody has brought it back."""
    recording = held(service, clock)
    with service.database.read() as connection:
        key = attempts.kept(connection, recording.id)["original"].object_key
    file = service.settings.data_dir / "objects" / key
    file.rename(service.settings.data_dir / "aside")
    return recording, file


def stuck_ones(service: Service) -> list[str]:
    with service.database.read() as connection:
        return [task.subject_id for task in tasks.open_tasks(connection, kind="hold_not_sheltered")]


def test_p6_people_are_told_of_what_cannot_be_moved_for_an_hour_until_it_is(
    service: Service, clock: MovingClock, stuck: tuple[Recording, Path]
) -> None:
    recording, file = stuck
    sheltering.shelter(service, clock.advance(minutes=59))
    assert stuck_ones(service) == []
    for _ in range(2):
        sheltering.shelter(service, clock.advance(minutes=5))
        assert stuck_ones(service) == [recording.id]

    (service.settings.data_dir / "aside").rename(file)
    assert sheltering.shelter(service, clock.advance(minutes=5)) == 1
    assert stuck_ones(service) == []


@pytest.mark.parametrize("end", ["released", "erased"])
def test_nobody_is_told_of_what_need_not_be_moved_any_more(
    service: Service, clock: MovingClock, stuck: tuple[Recording, Path], end: str
) -> None:
    recording, _file = stuck
    sheltering.shelter(service, clock.advance(hours=1))
    assert stuck_ones(service) == [recording.id]

    with service.database.read() as connection:
        (hold,) = hold_rows.standing(connection, [recording.id])[recording.id]
    holds.release(service, hold.id, DPO, clock())
    if end == "erased":
        erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock())
    sheltering.shelter(service, clock())
    assert stuck_ones(service) == []


def test_copies_that_come_to_nothing_do_not_pile_up(service: Service, clock: MovingClock) -> None:
    recording = held(service, clock)
    with service.database.read() as connection:
        service.vault.objects.delete(attempts.kept(connection, recording.id)["original"].object_key)

    for _ in range(10):
        assert sheltering.shelter(service, clock.advance(hours=6)) == 0

    with service.database.read() as connection:
        on_record = erasing.objects(connection, [recording.id])[recording.id]
    assert len(on_record) <= 3 + 3 * 5  # its own, and those of a day
