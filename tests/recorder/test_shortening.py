"""A shorter policy reaches what is kept already, once somebody who has seen what it does says so; on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from recorder import erasure, holds, shortening, sweep
from recorder.actors import Actor
from recorder.ports import Service
from recorder.shortening import Shortening
from storage import audit
from tests.conftest import MovingClock
from tests.recorder.backups import House
from tests.recorder.stored import row, store

OPERATOR = Actor("cli", "operator")
DPO = Actor("tok_dpo", "dpo")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RECORDER_RETENTION__PRIVATE_INBOUND_DAYS": "30"}


def of_private_inbound(plan: list[Shortening]) -> Shortening:
    return next(one for one in plan if one.segment == "private_inbound")


def test_the_plan_says_what_would_expire_sooner_and_changes_nothing(service: Service, clock: MovingClock) -> None:
    old = store(service, clock.now)
    clock.advance(days=40)
    new = store(service, clock.now)
    short = store(service, clock.now, days=30)

    plan = shortening.plan(service, clock.now)

    assert of_private_inbound(plan) == Shortening("private_inbound", 30, sooner=2, at_once=1)
    assert sum(one.sooner for one in plan) == 2
    assert {row(service, one.id).expires_at for one in (old, new, short)} == {
        old.expires_at,
        new.expires_at,
        short.expires_at,
    }


def test_what_is_kept_expires_by_the_shorter_policy_and_never_in_the_past(service: Service, clock: MovingClock) -> None:
    old = store(service, clock.now)
    clock.advance(days=40)
    new = store(service, clock.now)
    short = store(service, clock.now, days=7)  # who was told less is not kept longer

    assert shortening.shorten(service, OPERATOR, clock.now) == 2

    assert row(service, old.id).expires_at == clock.now
    assert row(service, new.id).expires_at == clock.now + timedelta(days=30)
    assert row(service, short.id).expires_at == short.expires_at
    assert shortening.shorten(service, OPERATOR, clock.now) == 0
    assert audit.verify(service.database).ok
    told = [line for line in audit.export(service.database) if "recording.shortened" in line]
    assert len(told) == 2
    assert all('"days":30' in line and '"cli"' in line for line in told)


def test_the_unattended_sweep_foresees_it(service: Service, clock: MovingClock) -> None:
    for _ in range(3):
        store(service, clock.now)
    clock.advance(days=40)
    kept = store(service, clock.now)
    shortening.shorten(service, OPERATOR, clock.now)

    assert sweep.sweep(service, clock.now, unattended=True).erased == 3
    assert sweep.sweep(service, clock.advance(days=31), unattended=True).erased == 1
    assert erasure.certificate(service, kept.id)["reason"] == "expired"


def test_what_is_held_waits_and_goes_when_its_hold_ends(service: Service, clock: MovingClock) -> None:
    recording = store(service, clock.now)
    hold = holds.place(service, recording.id, "legal", "case-1", DPO, clock.now)
    clock.advance(days=40)

    assert shortening.shorten(service, OPERATOR, clock.now) == 1
    assert sweep.sweep(service, clock.advance(days=1), unattended=True).erased == 0
    assert shortening.shorten(service, OPERATOR, clock.now) == 0
    holds.release(service, hold.id, DPO, clock.now)
    assert sweep.sweep(service, clock.now, unattended=True).erased == 1


def test_p3_a_restore_does_not_bring_back_what_went_sooner(house: House, tmp_path: Path) -> None:
    with house.running() as service:
        recording = store(service, house.clock.now)
        house.back_up(tmp_path / "backup")
        house.clock.advance(days=40)
        shortening.shorten(service, OPERATOR, house.clock.now)
        sweep.sweep(service, house.clock.now, unattended=True)

    house.restore(tmp_path / "backup")
    with house.running() as service:
        assert erasure.certificate(service, recording.id)["reason"] == "expired"
