"""What requests hold, and what became of a recording."""

from __future__ import annotations

from recorder import subject_requests
from recorder.ports import Service
from storage.catalogue import holds, recordings
from tests.conftest import MovingClock
from tests.recorder.asking import DPO


def held(service: Service, recording_id: str) -> list[str]:
    with service.database.read() as connection:
        return [hold.kind for hold in holds.standing(connection, [recording_id]).get(recording_id, [])]


def state(service: Service, recording_id: str) -> str:
    with service.database.read() as connection:
        row = recordings.get(connection, recording_id)
    return row.state if row else "gone"


def approve(service: Service, clock: MovingClock, request_id: str, *recording_ids: str) -> None:
    subject_requests.approve(service, request_id, recording_ids, "callback", DPO, clock())
