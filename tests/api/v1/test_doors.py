"""What opens nothing (a token revoked, expired or malformed, an id that cannot be one), and the document that names
every door.
"""

from __future__ import annotations

import pytest
from yarl import URL

from api.app import all_routes
from api.openapi import document
from recorder import tokens
from recorder.actors import SYSTEM
from tests.api.conftest import House
from tests.api.problems import problem


async def test_a_revoked_or_expired_token_opens_nothing(house: House) -> None:
    text, token = tokens.create(house.service, "dpo", "n", house.clock(), days=1, actor=SYSTEM)
    headers = {"Authorization": f"Bearer {text}"}
    assert (await house.client.get("/v1/recordings", headers=headers)).status == 200

    tokens.revoke(house.service, token.id, house.clock(), actor=SYSTEM)
    refused = await house.client.get("/v1/recordings", headers=headers)
    assert await problem(refused) == (401, "unauthenticated")
    assert refused.headers["WWW-Authenticate"] == "Bearer"

    headers = house.bearer("dpo")
    house.clock.advance(days=91)
    assert (await house.client.get("/v1/recordings", headers=headers)).status == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic eDp5"])
async def test_malformed_tokens_are_401(house: House, header: str) -> None:
    assert (await house.client.get("/v1/recordings", headers={"Authorization": header})).status == 401


async def test_the_document_names_every_route_that_is_not_the_consoles_once(house: House) -> None:
    answer = await house.client.get("/openapi.json")
    described = await answer.json()
    table = all_routes(house.service)
    assert described == document(table)

    operations = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(operations) == len(set(operations))
    assert all(one["summary"] for path in described["paths"].values() for one in path.values())
    wanted = {route.path for route in table if not route.path.startswith(("/console", "/static", "/canary"))}
    assert wanted - set(described["paths"]) <= {"/webhooks/twilio/canary", "/webhooks/twilio/code"}
    assert set(described["webhooks"]) == {"recording.stored", "recording.erased", "request.answered"}


@pytest.mark.parametrize("some_id", ["rec%00x", "rec_%F0%9F%98%80", "x" * 65, "a%20b", "..%2fx"])
async def test_what_can_be_no_id_is_not_there(house: House, some_id: str) -> None:
    address = URL(f"/v1/recordings/{some_id}", encoded=True)
    assert (await problem(await house.client.get(address, headers=house.bearer("dpo"))))[0] == 404
