"""A certificate held against the log, as docs/format.md tells an auditor to."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from recorder import erasure, sweep
from recorder.actors import Actor
from recorder.ports import Service
from tests.conftest import MovingClock
from tests.recorder.logged import logged
from tests.recorder.stored import store

DPO = Actor("tok_dpo", "dpo")
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize("ordered", [True, False])
def test_p5_every_line_of_a_certificate_is_borne_out_by_the_log(
    service: Service, clock: MovingClock, ordered: bool
) -> None:
    ended_at = clock.now
    recording = store(service, ended_at)
    if ordered:
        erasure.erase(service, recording.id, reason="ordered", actor=DPO, now=clock.advance(days=3))
    for days in (90, 91):
        clock.now = ended_at + timedelta(days=days)
        service.keyring.ensure(clock.now)
        sweep.sweep(service, clock.now, unattended=False)
    paper = erasure.certificate(service, recording.id)

    (begun,) = [one for one in logged(service, "recording.erasing") if one["subject"] == recording.id]
    (erased,) = [one for one in logged(service, "recording.erased") if one["subject"] == recording.id]
    assert erased["body"] == {name: paper[name] for name in ("certificate_id", "reason", "objects_deleted")}
    for column, entry in [("key_destroyed", begun), ("erased_at", erased), ("verified_at", erased)]:
        said, at = str(paper[column]), datetime.fromisoformat(entry["at"])
        assert at - datetime.fromisoformat(said) < MOMENT if ordered else at.date() == date.fromisoformat(said)
    assert (begun["actor"], paper["ordered_by"]) == ((DPO.id, "dpo") if ordered else ("system", "system"))

    unreadable = date.fromisoformat(str(paper["unreadable_in_backups_from"]))
    gone = {
        one["body"]["day"]: one["at"] for one in logged(service, "key.destroyed") if one["body"]["purpose"] == "day"
    }
    assert gone[f"{unreadable - timedelta(days=1):%Y%m%d}"] < f"{unreadable}T24"
