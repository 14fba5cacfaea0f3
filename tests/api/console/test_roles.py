"""What each role may do: reviewers and agents find without seeing the customer, agents never hear, only the DPO
deletes, holds and answers requests, and machines have no pages.
"""

from __future__ import annotations

import re

import pytest

from tests.api.conftest import CUSTOMER, House
from tests.api.console.forms import page, post


@pytest.mark.parametrize("role", ["operator", "auditor", "platform"])
async def test_roles_without_pages_are_refused_like_unknown_tokens(house: House, role: str) -> None:
    for token in (house.token(role), "rec_dpo_made-up", ""):
        answer = await post(house, "/console/sign-in", token=token)
        assert answer.status == 401
        assert "does not open the console" in await answer.text()
        assert "Set-Cookie" not in answer.headers


async def test_reviewers_and_agents_find_by_agent_queue_and_case_and_see_no_customer(house: House) -> None:
    recording = house.stored(agent="a-17", queue="billing", case="S-1", account="A-1001")
    house.stored("pbx-2", agent="a-18", queue="sales", case="S-2")
    for role in ("reviewer", "agent"):
        await house.signed_in(role)
        for field, value in (("agent", "a-17"), ("queue", "billing"), ("case", "S-1")):
            text = await (await post(house, "/console/recordings/search", **{field: value})).text()
            assert re.findall(r"/console/recordings/(rec_\w+)\"", text) == [recording]
            assert 'name="phone"' not in text
            assert "56</td>" not in text
        text = await page(house, f"/console/recordings/{recording}")
        assert CUSTOMER not in text
        assert "A-1001" not in text
        assert "Delete this recording" not in text


async def test_agents_must_narrow_and_never_hear(house: House) -> None:
    recording = house.stored(agent="a-17")
    await house.signed_in("agent")

    assert recording not in await page(house, "/console/recordings")
    answer = await post(house, "/console/recordings/search", state="stored")
    assert "Say which agent, queue or case" in await answer.text()
    assert "<audio" not in await page(house, f"/console/recordings/{recording}?purpose=quality")
    await page(house, f"/console/recordings/{recording}/audio?purpose=quality", status=403)


async def test_the_agents_panel_notes_a_yes_and_stops(house: House) -> None:
    house.call(answer="requested")
    await house.signed_in("agent")

    yes = await (await post(house, "/console/panel", call="pbx-1", act="consent")).text()
    assert "Noted: the customer said yes." in yes
    assert 'value="pbx-1"' in yes
    assert "Stopped." in await (await post(house, "/console/panel", call="pbx-1", act="stop")).text()
    unknown = await post(house, "/console/panel", call="pbx-9", act="pause")
    assert (unknown.status, "no running call" in await unknown.text()) == (409, True)


@pytest.mark.parametrize("role", ["reviewer", "agent"])
async def test_only_the_dpo_deletes_holds_and_answers_requests(house: House, role: str) -> None:
    recording = house.stored()
    await house.signed_in(role)
    for path in (f"/console/recordings/{recording}/erase", "/console/requests", f"/console/certificates/{recording}"):
        await page(house, path, status=403)
    for path in (
        f"/console/recordings/{recording}/erase",
        f"/console/recordings/{recording}/holds",
        "/console/requests",
    ):
        assert (await post(house, path, reason="other", kind="legal")).status == 403
