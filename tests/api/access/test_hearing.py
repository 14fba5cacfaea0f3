"""A person hears and saves their call: whole and by range, so many streams at once, and each noted."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from api import limits
from storage.tables import metadata
from tests.api.access.entering import downloads, entered, sources
from tests.api.conftest import Client, House, speech
from tests.conftest import MovingClock
from tests.recorder.asking import mails, stored
from tests.recorder.post import deliver_due


async def test_the_whole_way(house: House, browser: Client) -> None:
    page = await entered(house)
    ((source,), (copy,)) = sources(page), downloads(page)
    assert source.startswith("/access/recordings/")
    assert copy.startswith("/access/recordings/")

    heard = await browser.get(source, headers={"Range": "bytes=100-199"})
    whole = await browser.get(source)
    kept = await browser.get(source.replace("/audio", "/original"))
    saved = await browser.get(copy)

    assert (heard.status, whole.status, kept.status, saved.status) == (206, 200, 200, 200)
    assert heard.headers["Content-Range"] == f"bytes 100-199/{len(speech())}"
    assert await heard.read() == speech()[100:200]
    assert await whole.read() == await kept.read() == speech()
    assert kept.headers["Content-Disposition"] == 'attachment; filename="2026-09-03_samtale.wav"'
    assert saved.headers["Content-Disposition"] == 'attachment; filename="2026-09-03_samtale.mp3"'
    assert saved.headers["Content-Type"] == "audio/mpeg"
    assert (await saved.read())[:1] == b"\xff"


async def test_p6_one_person_is_sent_so_many_streams_at_once_and_no_more(
    house: House, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes memory, or an encoder, for as long as its reader likes. One that has ended makes room."""
    (source,) = sources(await entered(house))
    ways = [source, source.replace("/audio", "/original"), source.replace("/audio", "/download")]

    monkeypatch.setattr(limits, "STREAMS_AT_ONCE", 1)
    for path in ways * 2:
        answer = await browser.get(path)
        assert (answer.status, len(await answer.read()) > 0) == (200, True)

    monkeypatch.setattr(limits, "STREAMS_AT_ONCE", 0)
    for path in ways:
        refused = await browser.get(path)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert (await browser.get("/access/recordings")).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "bytes_"),
    [
        ("bytes=0-1", 206, 2),
        ("bytes=-5", 206, 5),
        ("bytes=96000-", 206, 44),
        ("bytes=999999-", 416, 0),
        ("bytes=0-1,5-6", 200, 96044),
        ("bytes=5-2", 200, 96044),
        ("lines=1-2", 200, 96044),
        ("bytes=" + "9" * 4000 + "-", 200, 96044),
    ],
)
async def test_ranges(house: House, browser: Client, asked: str, status: int, bytes_: int) -> None:
    (source,) = sources(await entered(house))
    answer = await browser.get(source, headers={"Range": asked})
    assert answer.status == status
    if status != 416:
        assert len(await answer.read()) == bytes_


async def test_nobody_has_listened_until_somebody_does(house: House, browser: Client) -> None:
    page = await entered(house)
    assert "Ingen har lyttet til den" in page
    (source,) = sources(page)
    await (await browser.get(source)).read()

    page = await (await browser.get("/access/recordings")).text()
    assert "Dig</strong>" not in page
    assert "Dig · Din ret til at høre den" in page


async def test_p5_a_copy_taken_is_noted_beside_listening_once_in_half_an_hour(house: House, browser: Client) -> None:
    page = await entered(house)
    ((source,), (copy,)) = sources(page), downloads(page)
    for address in (source, copy, copy, source.replace("/audio", "/original")):
        await (await browser.get(address)).read()

    log = metadata.tables["audit"]
    with house.service.database.read() as connection:
        acts = list(connection.execute(select(log.c.type).order_by(log.c.seq)).scalars())
    assert [act for act in acts if act in {"recording.listened", "recording.downloaded"}] == [
        "recording.listened",
        "recording.downloaded",
    ]
    assert "en kopi blev gemt" in await (await browser.get("/access/recordings")).text()


async def test_over_json_a_request_leads_to_the_same_mail(house: House, clock: MovingClock) -> None:
    recording_id = stored(house.service, clock)
    dpo = house.bearer("dpo")
    opened = await house.client.post(
        "/v1/subject-requests", json={"kind": "access", "phone": "+4520123456"}, headers=dpo
    )
    wish = await opened.json()
    assert (opened.status, wish["matches"], wish["due_at"][:10]) == (201, [recording_id], "2026-10-03")

    approved = await house.client.post(
        f"/v1/subject-requests/{wish['id']}/approve",
        json={"recordings": wish["matches"], "identity": {"method": "mitid"}},
        headers=dpo,
    )
    assert (approved.status, (await approved.json())["state"]) == (200, "answered")
    deliver_due(house.service, clock())
    assert len(mails(house.service)) == 1
    again = await house.client.post(f"/v1/subject-requests/{wish['id']}/links", json={}, headers=dpo)
    assert again.status == 202
    assert json.loads(await again.text())["id"] == wish["id"]
