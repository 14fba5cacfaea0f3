"""The customer's way: the link from the mail, a code, their recordings. Works without JavaScript.

Following, posting or playing with a link uses nothing up, and a link that is unknown, run out, revoked or replaced
gets one and the same answer. All pages are forms and links; scripts only make them nicer.
"""

from __future__ import annotations

from api.access import entrance, recordings
from api.routing import Route
from recorder.ports import Service


def routes(_service: Service) -> list[Route]:
    return [*entrance.ROUTES, *recordings.ROUTES]
