"""P6: a request repeated under one Idempotency-Key is done once and answered alike, however often and at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import CUSTOMER, House
from tests.api.problems import problem


async def test_p6_the_same_request_under_a_key_is_done_once_and_answered_alike(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": '"8e03978e-40d5-43dd"'}
    address, hold = f"/v1/recordings/{recording}/holds", {"kind": "legal", "reason": "case 7"}

    first = await house.client.post(address, json=hold, headers=headers)
    again = await house.client.post(
        address, json=hold, headers=headers | {"Idempotency-Key": "8e03978e-40d5-43dd"}
    )  # with or without the draft's quotes
    assert (first.status, again.status) == (201, 201)
    assert await first.json() == await again.json()
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")

    other = await house.client.post(address, json=hold | {"reason": "case 8"}, headers=headers)
    assert await problem(other) == (422, "idempotency_reused")
    elsewhere = await house.client.delete(f"/v1/holds/{(await first.json())['id']}", headers=headers)
    assert await problem(elsewhere) == (422, "idempotency_reused")
    found = await (await house.client.get(f"/v1/recordings/{recording}", headers=house.bearer("dpo"))).json()
    assert len(found["holds"]) == 1


async def test_p6_many_of_the_same_at_once_are_one(house: House) -> None:
    house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": "k1"}
    wish = {"kind": "access", "phone": CUSTOMER}
    answers = await asyncio.gather(
        *(house.client.post("/v1/subject-requests", json=wish, headers=headers) for _ in range(20))
    )
    made = {(await answer.json())["id"] for answer in answers if answer.status == 201}
    refused = {await problem(answer) for answer in answers if answer.status != 201}

    assert len(made) == 1
    assert refused <= {(409, "idempotency_in_use")}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 409)


async def test_p6_a_deletion_repeated_under_its_key_gives_the_same_certificate(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo") | {"Idempotency-Key": "k1"}
    answers = [
        await house.client.delete(f"/v1/recordings/{recording}", json={"reason": "other"}, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [200, 200]
    assert await answers[0].json() == await answers[1].json()


@pytest.mark.parametrize("key", ["", '"', "a b", "æ", "x" * 256])
async def test_a_key_that_is_none_is_400(house: House, key: str) -> None:
    headers = house.bearer("dpo") | {"Idempotency-Key": key}
    answer = await house.client.post("/v1/subject-requests/req_x/extend", headers=headers)
    assert await problem(answer) in {(400, "invalid_input"), (404, "request_not_found")}
    assert (answer.status == 404) == (key == '"')  # one quote is a key like any other
