"""The customer's way in: link, code and page, and what can be heard and saved there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import ClientResponse

from storage.catalogue import requests
from tests.api.conftest import SAME_ORIGIN, Client, House
from tests.recorder.asking import texts, token
from tests.recorder.post import deliver_due

Dial = Callable[[], Awaitable[Client]]


async def post(client: Client, path: str, **fields: str) -> ClientResponse:
    return await client.post(path, data=fields, headers=SAME_ORIGIN)


async def asked_code(house: House) -> str:
    """Open the link of the latest mail, have a code sent, read it."""
    await post(house.client, "/access/open", token=token(house.service))
    assert (await post(house.client, "/access/code")).status == 200
    deliver_due(house.service, house.clock())
    found = re.search(r"\b\d{6}\b", texts(house.service)[-1]["text"])
    assert found is not None
    return found[0]


async def entered(house: House) -> str:
    """Their page, after link and code."""
    answer = await post(house.client, "/access/verify", code=await asked_code(house))
    assert (answer.status, answer.url.path) == (200, "/access/recordings")
    return await answer.text()


def only_request(house: House) -> str:
    with house.service.database.read() as connection:
        (request,) = requests.open_ones(connection)
    return request.id


def sources(page: str) -> list[str]:
    return re.findall(r'<(?:audio|source)\b[^>]*\bsrc="([^"]+)"', page)


def theirs(page: str) -> list[str]:
    """The ids of the recordings that can be heard on a page."""
    return [source.split("/")[3] for source in sources(page)]


def downloads(page: str) -> list[str]:
    return re.findall(r'<a\b[^>]*\bhref="([^"]+)"[^>]*\bdownload\b', page)
