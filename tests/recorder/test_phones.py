"""Numbers come in many spellings and leave in one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import phones


@pytest.mark.parametrize(
    "spelling",
    [
        "+4520123456",
        "+45 20 12 34 56",
        "20 12 34 56",
        "20123456",
        "0045 20123456",
        "4520123456",
        "(+45) 20-12-34-56",
        "tel:+4520123456",
        "sip:+4520123456@pbx.example.com;user=phone",
        "sips:20123456@pbx.example.com",
        "SIP:20123456",
        '"Anna 7" <sip:+4520123456@pbx.example.com>',
        " +4520123456 ",
        "sip:%2B4520123456@pbx.example.com",
        "tel:20-12-34-56;phone-context=+45",
        "sip:20123456;phone-context=pbx.example.com@pbx.example.com;user=phone",
        "tel:%2b4520123456;phone-context=+47",
    ],
)
def test_every_spelling_is_the_same_number(spelling: str) -> None:
    assert phones.normalise(spelling) == "+4520123456"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "anonymous", "Anonymous", "RESTRICTED", "unavailable", "+266696687", "+7378742833",
        "sip:anonymous@anonymous.invalid", "Anonymous@anonymous.invalid", "alice", "client:jenny", "100", "+45",
        "20123456 ext. 9", "sip:agent20123456@pbx.example.com", "client:agent20123456", "sip:anonymous-20123456@x",
        "0086 56696", "+86 282452253",
        "0", "00000000", "sip:00000000@pbx.example.com", "+" + "1" * 40, "1" * 1000, "\x00", "²³",
    ],
)  # fmt: skip
def test_withheld_and_other_things_are_no_number(text: str) -> None:
    assert phones.normalise(text) is None


def test_foreign_numbers_stay_foreign() -> None:
    assert phones.normalise("+49 30 123456") == "+4930123456"
    assert phones.normalise("tel:20123456;phone-context=+47") == "+4720123456"
    assert phones.normalise("sip:212345;phone-context=+298@pbx.example.com;user=phone") == "+298212345"


@pytest.mark.parametrize("spelling", ["+49030123456", "+49 (0)30 123456", "+490030123456", "0049030123456"])
def test_a_zero_that_is_dialled_only_at_home_is_no_part_of_a_number(spelling: str) -> None:
    assert phones.normalise(spelling) == "+4930123456"


@pytest.mark.parametrize("number", ["+390612345678", "+2250123456789", "+4702000", "+4502012345"])
def test_a_zero_that_is_part_of_a_number_stays(number: str) -> None:
    assert phones.normalise(number) == number


@given(st.text() | st.from_regex(r"\+[1-9][0-9]{0,2}0{0,3}[0-9]{4,9}", fullmatch=True))
def test_what_comes_out_comes_out_the_same_again(text: str) -> None:
    number = phones.normalise(text)

    assert number is None or (phones.E164.fullmatch(number) and phones.normalise(number) == number)


def test_last_digits_name_a_number_without_telling_it() -> None:
    assert phones.last_digits("+4520123442") == "42"
