"""The requests that are open, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass

from recorder import cursors
from recorder.ports import Service
from storage.catalogue import requests
from storage.catalogue.requests import Request

OPEN = "open requests"  # what a cursor of this list is sealed for


@dataclass(frozen=True)
class OpenPage:
    items: list[Request]
    next: str | None


def open_requests(service: Service, *, cursor: str | None = None, limit: int = cursors.PAGE) -> OpenPage:
    """Requests not closed or refused, the first due first. Raises `CursorError`.

    Following the cursors misses none; one whose deadline is moved meanwhile may be met twice.
    """
    after = cursors.read(service, OPEN, cursor)
    with service.database.read() as connection:
        page = requests.open_page(connection, limit=limit, after=after)
    return OpenPage(page.items, cursors.written(service, OPEN, page.next))
