"""Lets the post go: hands over everything that waits in the outbox, as the jobs would."""

from __future__ import annotations

from datetime import datetime

from recorder import delivery
from recorder.ports import Service

MOST = 100


def deliver_due(service: Service, now: datetime) -> int:
    """Hand over what is due; returns how many messages went."""
    sent = 0
    for _ in range(MOST):
        outcome = delivery.deliver_next(service, now, (*delivery.MAIL, *delivery.CODES))
        if outcome is None:
            break
        sent += outcome == "sent"
    return sent
