"""One recording: heard for a purpose, deleted with a certificate, held, and shown on no page past its second."""

from __future__ import annotations

import re

import pytest

from recorder import subject_requests
from storage.catalogue import listenings, source_deletions
from tests.api.conftest import CUSTOMER, House
from tests.api.console.forms import ENGLISH, page, post
from tests.recorder.asking import DPO


async def test_the_player_comes_after_a_purpose_and_hearing_is_noted_only_when_it_plays(house: House) -> None:
    recording = house.stored()
    await house.signed_in("reviewer")

    assert "<audio" not in await page(house, f"/console/recordings/{recording}")
    assert "<audio" not in await page(house, f"/console/recordings/{recording}?purpose=documentation")
    text = await page(house, f"/console/recordings/{recording}?purpose=quality")
    source = re.search(r'<audio[^>]* src="([^"]+)"', text)
    assert source is not None
    assert _noted(house, recording) == []

    answer = await house.client.get(source.group(1), headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.headers["Content-Type"]) == (206, "audio/wav")
    assert _noted(house, recording) == [("reviewer", "quality")]


async def test_deleting_shows_its_effect_then_the_certificate(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")

    text = await page(house, f"/console/recordings/{recording}/erase")
    assert "2 sealed objects are deleted and looked for again: the recording, the waveform" in text
    assert "From 3\xa0December 2026 no backup can open it either" in text
    assert text.count("Delete 1 recording for good") == 1

    unsure = await post(house, f"/console/recordings/{recording}/erase")
    assert (unsure.status, "Choose a reason." in await unsure.text()) == (400, True)
    done = await post(house, f"/console/recordings/{recording}/erase", reason="customer_request")
    text = await done.text()
    assert done.url.path == f"/console/certificates/{recording}"
    assert "Certificate of deletion" in text
    assert "The customer asked for it" in text
    assert "Unreadable in every backup from" in text
    await page(house, f"/console/recordings/{recording}", status=404)


async def test_the_exchanges_copy_is_said_to_go_only_where_it_does(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    goes = "The copy at the telephone exchange is deleted too."
    assert goes in await page(house, f"/console/recordings/{recording}/erase")
    with house.service.database.write() as connection:
        source_deletions.leave_to_people(connection, recording)
    assert goes not in await page(house, f"/console/recordings/{recording}/erase")


async def test_a_certificate_is_found_by_the_number_on_the_customers_receipt(house: House) -> None:
    recording = house.stored()
    request = subject_requests.open_request(house.service, "access", phone=CUSTOMER, actor=DPO, now=house.clock())
    await house.signed_in("dpo")
    done = await post(house, f"/console/recordings/{recording}/erase", reason="customer_request")
    number = re.search(r"crt_\w+", await done.text())
    assert number is not None

    assert 'action="/console/certificates"' in await page(house, "/console/recordings")
    found = await house.client.get("/console/certificates", params={"number": f" {number[0]}\n"}, headers=ENGLISH)
    assert (found.status, found.url.path) == (200, f"/console/certificates/{number[0]}")
    for unknown in ("crt_none", "../requests", "", "x" * 3000):
        answer = await house.client.get("/console/certificates", params={"number": unknown})
        assert answer.status == 404
    assert f'href="/console/certificates/{recording}"' in await page(house, f"/console/requests/{request.id}")


async def test_a_held_recording_cannot_be_deleted_until_its_hold_is_released(house: House) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/recordings/{recording}/holds", kind="legal", reason="case 7")).text()
    hold = re.search(r"/console/holds/(hld_\w+)/release", text)
    assert hold is not None
    assert "Legal claim" in text
    assert re.findall(r'id="p-(\w+)"', text) == ["quality", "training", "documentation", "access", "legal"]
    subject_requests.open_request(house.service, "access", phone=CUSTOMER, actor=DPO, now=house.clock())

    text = await page(house, f"/console/recordings/{recording}/erase")
    assert "It cannot be deleted now." in text
    assert "Legal claim, to be looked at by" in text
    assert "Open access request" not in text  # it warns, and forbids nothing
    assert "Delete 1 recording for good" not in text
    refused = await post(house, f"/console/recordings/{recording}/erase", reason="other")
    assert refused.status == 409

    for nowhere in ("", "../requests", "rec_æ"):  # what is refused has done nothing
        assert (await post(house, f"/console/holds/{hold.group(1)}/release", recording=nowhere)).status == 400
    assert "Legal claim" in await page(house, f"/console/recordings/{recording}")
    text = await (await post(house, f"/console/holds/{hold.group(1)}/release", recording=recording)).text()
    assert "Legal claim" not in text.partition("Place a hold")[0]
    assert "Delete 1 recording for good" in await page(house, f"/console/recordings/{recording}/erase")


@pytest.mark.parametrize(("kind", "told"), [("restriction", True), ("legal", False)])
async def test_the_person_is_told_before_a_restriction_is_lifted(house: House, kind: str, *, told: bool) -> None:
    recording = house.stored()
    await house.signed_in("dpo")
    text = await (await post(house, f"/console/recordings/{recording}/holds", kind=kind, reason="case 7")).text()
    assert ("Tell the person first" in text) == told


async def test_p3_past_its_second_no_page_shows_it(house: House) -> None:
    recording = house.stored()
    house.clock.advance(days=90)
    await house.signed_in("dpo")
    assert recording not in await page(house, "/console/recordings")
    await page(house, f"/console/recordings/{recording}", status=404)
    await page(house, f"/console/recordings/{recording}/erase", status=404)


def _noted(house: House, recording: str) -> list[tuple[str, str]]:
    with house.service.database.read() as connection:
        return [(one.role, one.purpose) for one in listenings.of_recording(connection, recording)]
