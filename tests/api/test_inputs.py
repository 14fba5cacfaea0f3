"""Forms: read as UTF-8, in no time, or refused."""

from __future__ import annotations

import pytest

from tests.api.conftest import SAME_ORIGIN, House

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("charset", ["utf-16", "punycode", "no-such-thing"])
async def test_p6_a_form_is_utf_8_whatever_its_sender_calls_it(house: House, charset: str) -> None:
    """Python's punycode takes a minute over a megabyte, and nobody else would be answered meanwhile."""
    headers = SAME_ORIGIN | {"Content-Type": f"{FORM}; charset={charset}"}
    body = f"token={house.token('dpo')}".encode()

    answer = await house.client.post("/console/sign-in", data=body, headers=headers)

    assert (answer.status, answer.url.path) == (200, "/console/")


NO_FORMS = [b"token=\xff\xfe", b"token=%00", b"\x00=1", b"&".join(b"a%d=1" % number for number in range(5000))]


@pytest.mark.parametrize("body", NO_FORMS)
async def test_what_is_no_form_is_refused(house: House, body: bytes) -> None:
    answer = await house.client.post("/console/sign-in", data=body, headers=SAME_ORIGIN | {"Content-Type": FORM})

    assert answer.status == 400
