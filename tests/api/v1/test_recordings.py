"""One recording over JSON: what it shows, deleting it, and the holds that forbid that."""

from __future__ import annotations

from typing import Any

import pytest

from recorder import calls
from recorder.capture import pushing
from recorder.events import Event
from tests.api.conftest import CUSTOMER, House, speech
from tests.api.problems import problem


async def test_a_recording_shows_what_interfaces_name(house: House) -> None:
    recording = house.stored(agent="a-17", queue="billing", case="S-1")

    answer = await house.client.get(f"/v1/recordings/{recording}", headers=house.bearer("dpo"))
    item = await answer.json()
    assert {name: item[name] for name in ("id", "state", "segment", "direction", "agent", "queue", "case")} == {
        "id": recording,
        "state": "stored",
        "segment": "private_inbound",
        "direction": "inbound",
        "agent": "a-17",
        "queue": "billing",
        "case": "S-1",
    }
    assert item["platform_call_id"] == "pbx-1"
    assert item["platform_recording_id"] == "r-pbx-1"
    assert len(item["sha256"]) == 64
    assert item["consent"] | {"at": None} == {
        "method": "dtmf",
        "decision": "granted",
        "at": None,
        "digit": "1",
        "script": "inbound-da@1",
        "purposes": ["quality", "training", "documentation"],
    }
    assert item["links"] == {"audio": f"/v1/recordings/{recording}/audio"}
    assert CUSTOMER not in str(item)


async def test_whose_voice_is_on_which_channel_is_shown(house: House) -> None:
    house.call()
    channel_map = {"0": "customer", "1": "agent"}
    told = {"recording_id": "r-pbx-1", "channels": 2, "channel_map": channel_map}
    event = Event("recording.available", "standard", "pbx-1", "told", None, data=told)
    calls.register(house.service, event, house.clock())
    pushing.push(house.service, "pbx-1", "r-pbx-1", "audio/wav", iter([speech()]), None, house.clock())

    (item,) = (await (await house.client.get("/v1/recordings", headers=house.bearer("dpo"))).json())["items"]

    assert (item["channels"], item["channel_map"]) == (2, channel_map)


async def test_deleting_gives_a_certificate_and_gives_it_again(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")

    first = await house.client.delete(
        f"/v1/recordings/{recording}", json={"reason": "customer_request"}, headers=headers
    )
    certificate = await first.json()
    assert first.status == 200
    assert (certificate["recording_id"], certificate["reason"]) == (recording, "customer_request")
    assert certificate["ordered_by"] == "dpo"
    assert certificate["objects_deleted"] > 0
    assert certificate["key_destroyed"]
    assert certificate["unreadable_in_backups_from"] == "2026-12-03"

    again = await house.client.delete(f"/v1/recordings/{recording}", json={"reason": "other"}, headers=headers)
    shown = await house.client.get(f"/v1/certificates/{certificate['certificate_id']}", headers=house.bearer("auditor"))
    assert await again.json() == await shown.json() == certificate
    assert (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).status == 404


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "expired"}, {"reason": "uncovered"}, {"reason": 7}])
async def test_deleting_needs_a_reason_that_is_a_code(house: House, body: dict[str, Any]) -> None:
    recording = house.stored()
    answer = await house.client.delete(f"/v1/recordings/{recording}", json=body, headers=house.bearer("dpo"))
    assert await problem(answer) == (400, "invalid_input")


async def test_a_legal_hold_forbids_deleting_until_it_is_released(house: House) -> None:
    recording = house.stored()
    headers = house.bearer("dpo")
    order = {"reason": "customer_request"}

    placed = await house.client.post(
        f"/v1/recordings/{recording}/holds", json={"kind": "legal", "reason": "case 7"}, headers=headers
    )
    hold = await placed.json()
    assert (placed.status, hold["kind"]) == (201, "legal")
    item = await (await house.client.get(f"/v1/recordings/{recording}", headers=headers)).json()
    assert [one["id"] for one in item["holds"]] == [hold["id"]]
    refused = await house.client.delete(f"/v1/recordings/{recording}", json=order, headers=headers)
    assert await problem(refused) == (409, "held")

    assert (await house.client.delete(f"/v1/holds/{hold['id']}", headers=headers)).status == 204
    assert (await house.client.delete(f"/v1/recordings/{recording}", json=order, headers=headers)).status == 200
    assert (await house.client.delete("/v1/holds/hld_none", headers=headers)).status == 404
