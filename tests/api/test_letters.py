"""Reasons, identity checks and bounces through the doors staff and machines use."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from tests.api.conftest import CUSTOMER, SAME_ORIGIN, House
from tests.recorder.asking import directory, granted, link_rows, mails, request_row, stored, subjects


async def opened(house: House, headers: dict[str, str]) -> str:
    stored(house.service, house.clock)
    answer = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": CUSTOMER}, headers=headers
    )
    assert answer.status == 201
    return str((await answer.json())["id"])


async def test_over_json_the_identity_is_asked_and_the_request_extended_and_refused(house: House) -> None:
    headers = house.bearer("dpo")
    request_id = await opened(house, headers)

    async def post(step: str, body: dict[str, Any]) -> int:
        answer = await house.client.post(f"/v1/subject-requests/{request_id}/{step}", json=body, headers=headers)
        return answer.status

    assert await post("identity", {"step": "ask"}) == 200
    assert await post("identity", {"step": "ask"}) == 409
    assert await post("identity", {"step": "shout"}) == 400
    assert subjects(house.service, house.clock) == ["Er det dig, der har skrevet til os?"]
    house.clock.advance(days=3)
    assert await post("identity", {"step": "answered"}) == 200
    assert await post("extend", {"reason": "holidays"}) == 400
    assert await post("extend", {"reason": "many"}) == 200
    assert await post("refuse", {"reason": "other", "text": ""}) == 400
    assert await post("refuse", {"reason": "other", "text": "Du ringede fra en andens telefon."}) == 200
    assert subjects(house.service, house.clock)[1:] == ["Svar på din henvendelse"], (
        "the extension was overtaken by the answer"
    )


async def test_in_the_console_the_same(house: House) -> None:
    await house.signed_in("dpo")
    request_id = await opened(house, house.bearer("dpo"))
    one = f"/console/requests/{request_id}"

    async def post(path: str, **fields: str) -> str:
        answer = await house.client.post(one + path, data=fields, headers=SAME_ORIGIN)
        assert (answer.status, answer.url.path) == (200, one)
        return await answer.text()

    assert "fristen står stille" in await post("/identity/ask")
    assert "fristen står stille" not in await post("/identity/answered")
    await post("/extend", reason="complex")
    await post("/refuse", reason="other", text="Du ringede fra en andens telefon.")
    assert subjects(house.service, house.clock) == ["Svar på din henvendelse"]
    body = mails(house.service)[0].get_body(("plain",))
    assert body is not None
    assert "Du ringede fra en andens telefon." in body.get_content()


async def test_the_console_counts_no_days_while_somebody_is_waited_for(house: House) -> None:
    request_id = await opened(house, house.bearer("dpo"))

    async def days_left(path: str) -> list[str]:
        house.service.keyring.ensure(house.clock())
        await house.signed_in("dpo")
        answer = await house.client.get(path)
        assert answer.status == 200
        return re.findall(r"-?\d+ dage? (?:tilbage|for sent)", await answer.text())

    both = "/console/requests", f"/console/requests/{request_id}"
    house.clock.advance(days=20)
    before = [await days_left(path) for path in both]
    assert all(before)
    await house.client.post(f"{both[1]}/identity/ask", headers=SAME_ORIGIN)
    house.clock.advance(days=20)
    assert [await days_left(path) for path in both] == before


async def test_a_bounce_told_by_the_mail_provider_stops_the_link(house: House) -> None:
    stored(house.service, house.clock)
    request_id = granted(house.service, house.clock)
    body = {"message_id": mails(house.service)[0]["Message-ID"]}

    async def post(role: str, body: dict[str, Any]) -> tuple[int, Any]:
        answer = await house.client.post("/v1/bounces", json=body, headers=house.bearer(role))
        return answer.status, (await answer.json()).get("outcome")

    assert await post("platform", body) == (403, None)
    assert (await post("operator", {"message_id": "x"}))[0] == 400
    assert (await post("operator", {"message_id": "msg_" + "a" * 26}))[0] == 404
    assert await post("operator", body) == (200, "stopped")
    assert await post("operator", body) == (200, "nothing")
    assert [link.state for link in link_rows(house.service, request_id)] == ["void"]


@pytest.mark.parametrize(("mail", "code", "said"), [(b"Subject: hej\r\n\r\nhej", 0, "nothing"), (None, 2, "")])
def test_the_pipe_of_a_mail_server(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mail: bytes | None,
    code: int,
    said: str,
) -> None:
    from tests.recorder.test_bounces import dsn

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mail or dsn("somebody@else.example"))))
    with pytest.raises(SystemExit) as ended:
        main(["bounce"])

    assert (ended.value.code, said in capsys.readouterr().err) == (code, True)
    assert Path(environment["RECORDER_DATA_DIR"]).is_dir()


async def test_a_request_that_is_closed_asks_nobody(house: House) -> None:
    headers = house.bearer("dpo")
    request_id = await opened(house, headers)
    directory(house.service, "")
    address = f"/v1/subject-requests/{request_id}"
    assert (await house.client.post(f"{address}/refuse", json={"reason": "unfounded"}, headers=headers)).status == 200
    answer = await house.client.post(f"{address}/identity", json={"step": "ask"}, headers=headers)

    assert (answer.status, (await answer.json())["code"]) == (409, "conflict")
    assert request_row(house.service, request_id).identity_asked_at is None
