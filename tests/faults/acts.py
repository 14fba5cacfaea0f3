"""What people do in a run, besides calling. Each is tried in every life until it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder import calls, erasure, holds, subject_requests
from recorder.actors import Actor
from recorder.ports import Service
from storage.catalogue import holds as hold_rows
from storage.catalogue import recordings, requests
from tests.faults.story import CUSTOMER

DPO = Actor("tok_faults", "dpo")
ACTS = ("ordered", "held")  # kinds of calls that somebody does something about


@dataclass(frozen=True)
class Act:
    """`ask` requests access to all that is kept of the customer. The others are about a call's recording: `ordered`
    erases it, `held` puts a hold on it, `release` ends that.
    """

    name: str
    call: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.call}".strip()

    def done(self, service: Service, now: datetime) -> bool:
        """Do it; False where there is nothing to do it to yet."""
        if self.name == "ask":
            return _ask(service, now)
        stored = _stored(service, self.call)
        if stored is None:
            return False
        if self.name == "ordered":
            erasure.erase(service, stored, reason="ordered", actor=DPO, now=now)
        elif self.name == "held":
            holds.place(service, stored, "legal", "case", DPO, now)
        else:
            with service.database.read() as connection:
                standing = hold_rows.standing(connection, [stored]).get(stored, [])
            for hold in standing:
                if hold.kind == "legal":
                    holds.release(service, hold.id, DPO, now)
        return True


def _stored(service: Service, call: str) -> str | None:
    with service.database.read() as connection:
        call_id = calls.resolve(service, connection, "standard", call)
        found = recordings.of_call(connection, call_id) if call_id else []
    return next((one.id for one in found if one.state == "stored"), None)


def _ask(service: Service, now: datetime) -> bool:
    """Open an access request and approve it. One that matches nothing is refused; False, so that it is asked again.

    One that a killed process left open is taken up first: until it is answered, the recordings it is about are kept.
    """
    with service.database.read() as connection:
        left = [one for one in requests.open_ones(connection) if one.state == "received"]
    asked = left[0] if left else subject_requests.open_request(service, "access", phone=CUSTOMER, actor=DPO, now=now)
    with service.database.read() as connection:
        chosen = [one.recording_id for one in requests.matched(connection, asked.id)]
    if not chosen:
        subject_requests.refuse(service, asked.id, DPO, now)
        return False
    subject_requests.approve(service, asked.id, chosen, "callback", DPO, now)
    return True
