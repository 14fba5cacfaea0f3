"""The customer's pages: the link from the mail, a code, their recordings. They work without JavaScript.

Nothing is used up by following a link, posting it or playing around with it. A link that is unknown, run out, revoked
or replaced always gets the same answer. All pages are forms and links; scripts only make them nicer.
"""

from __future__ import annotations

from api.access import entrance, recordings
from api.routing import Route
from recorder.ports import Service


def routes(_service: Service) -> list[Route]:
    return [*entrance.ROUTES, *recordings.ROUTES]
