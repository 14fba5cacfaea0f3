"""Searching: no number in an address, an address of no use to others, and what cannot be searched for said beside its
field.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from api.console import searches
from recorder.errors import InvalidInputError
from tests.api.conftest import CUSTOMER, SAME_ORIGIN, House
from tests.api.console.forms import page, post


async def test_searching_by_number_leaves_no_number_in_the_address(house: House) -> None:
    recording = house.stored()
    house.stored("pbx-2", **{"from": "+4520123499"})
    await house.signed_in("dpo")

    answer = await post(house, "/console/recordings/search", phone="20 12 34 56")
    text = await answer.text()
    assert answer.url.path == "/console/recordings"
    assert "20123456" not in re.sub(r"\W", "", unquote(str(answer.url)))
    assert re.findall(r"/console/recordings/(rec_\w+)\"", text) == [recording]
    assert 'value="20 12 34 56"' in text


async def test_a_search_address_is_of_no_use_to_another_session_or_after_eight_days(house: House) -> None:
    sealed = searches.sealed(house.service, {"phone": CUSTOMER}, "ses_a", house.clock())
    assert searches.opened(house.service, sealed, "ses_a", house.clock()) == {"phone": CUSTOMER}

    unknown = f"a2V5X25vbmU.{sealed.split('.')[1]}"
    for text, session in (
        (sealed, "ses_b"),
        (sealed[:-2] + "AA", "ses_a"),
        (unknown, "ses_a"),
        ("x", "ses_a"),
        ("a.b.c", "ses_a"),
    ):
        with pytest.raises(InvalidInputError):
            searches.opened(house.service, text, session, house.clock())


async def test_the_search_page_keeps_what_was_typed_when_it_cannot_be_searched_for(house: House) -> None:
    await house.signed_in("dpo")
    answer = await post(house, "/console/recordings/search", phone="no number", queue="billing")
    text = await answer.text()
    assert answer.status == 400
    assert "This is not a telephone number." in text
    assert 'value="billing"' in text


@pytest.mark.parametrize("language", ["da", "en"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "10000-01-01"),
        ("to", "9999-12-31"),
        ("from", "0001-01-01"),
        ("from", "0000-01-01"),
        ("to", "275760-09-13"),
        ("to", "yesterday"),
        ("agent", "a\t17"),
        ("phone", "2012345"),
    ],
)
async def test_what_cannot_be_searched_for_is_said_beside_its_field(
    house: House, name: str, value: str, language: str
) -> None:
    await house.signed_in("dpo")
    sent = SAME_ORIGIN | {"Accept-Language": language}
    answer = await house.client.post("/console/recordings/search", data={name: value}, headers=sent)
    text = await answer.text()

    assert answer.status == 400
    field = re.search(rf'<input id="{name}"[^>]*>\s*<span class="error" id="{name}-error">([^<]+)', text)
    assert field is not None
    assert f'aria-describedby="{name}-error" aria-invalid="true"' in field[0]
    assert f'value="{value}"' in field[0]
    assert bool(re.search("[æøå]|nummer", field[1])) == (language == "da")


async def test_a_search_of_another_session_is_to_be_filled_in_again(house: House) -> None:
    await house.signed_in("dpo")
    address = str((await post(house, "/console/recordings/search", queue="billing")).url.relative())
    await house.signed_in("dpo")

    assert "This search has run out." in await page(house, address, status=400)


async def test_what_was_typed_is_shown_as_text(house: House) -> None:
    await house.signed_in("dpo")
    text = await (await post(house, "/console/recordings/search", agent='"><script>alert(1)</script>')).text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
