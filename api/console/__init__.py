"""The console of staff: plain pages that work without JavaScript, for agents, reviewers and the DPO."""

from __future__ import annotations

from api.console import choosing, erasing, overview, panel, recordings, session, subject_requests
from api.routing import Route
from recorder.ports import Service


def routes(_service: Service) -> list[Route]:
    rooms = (session, overview, panel, recordings, erasing, subject_requests, choosing)
    return [route for room in rooms for route in room.ROUTES]
