"""P4: a code: few tries, shared by however many clients, few sendings, and no call offered where none can be made."""

from __future__ import annotations

import asyncio
import re

from tests.api.access.entering import Dial, asked_code, post
from tests.api.conftest import Client, House
from tests.recorder.asking import texts, token, wrong
from tests.recorder.post import deliver_due


async def test_p4_wrong_codes_tell_what_is_left_and_then_lock(house: House, browser: Client) -> None:
    digits = await asked_code(house)
    answer = await post(browser, "/access/verify", code=wrong(digits))
    page = await answer.text()
    assert answer.status == 400
    assert "Du har 4 forsøg tilbage." in page
    assert 'aria-invalid="true"' in page
    assert 'autocomplete="one-time-code"' in page

    for _ in range(4):
        await post(browser, "/access/verify", code=wrong(digits))
    house.clock.advance(minutes=2)
    digits = await asked_code(house)
    for _ in range(4):
        await post(browser, "/access/verify", code=wrong(digits))
    locked = await post(browser, "/access/verify", code=wrong(digits))
    assert locked.status == 403
    assert "Koden er tastet forkert for mange gange" in await locked.text()
    assert (await post(browser, "/access/verify", code=digits)).status == 404


async def test_p4_too_many_codes_are_refused_kindly(house: House, browser: Client) -> None:
    for _ in range(3):
        await asked_code(house)
        house.clock.advance(seconds=61)
    answer = await post(browser, "/access/code")
    assert answer.status == 429
    assert 'name="code"' in await answer.text()


async def test_p4_a_hundred_clients_at_once_share_the_tries(house: House, browser: Client, dial: Dial) -> None:
    digits = await asked_code(house)
    crowd = [await dial() for _ in range(100)]
    await asyncio.gather(*(post(one, "/access/open", token=token(house.service)) for one in crowd))
    answers = await asyncio.gather(*(post(one, "/access/verify", code=wrong(digits)) for one in crowd))
    pages = [await answer.text() for answer in answers]

    assert sum("Det er ikke den rigtige kode" in page for page in pages) == 5
    assert sum("Koden virker ikke længere" in page for page in pages) == 95


async def test_no_call_is_offered_where_none_can_be_made(house: House, browser: Client) -> None:
    opened = await post(browser, "/access/open", token=token(house.service))
    sent = await post(browser, "/access/code", by="call")
    deliver_due(house.service, house.clock())

    pages = await opened.text() + await sent.text()
    assert not re.search(r"læst op|læste op|ringer", pages)
    assert len(texts(house.service)) == 1, "who asks for one all the same gets an SMS"
