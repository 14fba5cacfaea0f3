"""The JSON API, version 1. Bearer tokens only: no cookie opens it."""

from __future__ import annotations

from api.routing import Route
from api.v1 import bounces, calls, recordings, subject_requests
from recorder.ports import Service


def routes(_service: Service) -> list[Route]:
    return [*bounces.ROUTES, *calls.ROUTES, *recordings.ROUTES, *subject_requests.ROUTES]
