"""The console as its people use it: a page that is fetched, a form that is sent, without JavaScript."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import SAME_ORIGIN, House

ENGLISH = {"Accept-Language": "en"}
POST = SAME_ORIGIN | ENGLISH


async def page(house: House, path: str, status: int = 200) -> str:
    answer = await house.client.get(path, headers=ENGLISH)
    assert answer.status == status
    return await answer.text()


async def post(house: House, path: str, **fields: str) -> Any:
    return await house.client.post(path, data=fields, headers=POST)
