"""Sealed columns open only where they were sealed; marks find only equals, only under their day's key."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.columns import mark, open_sealed, seal, unwrap, wrap
from storage.errors import IntegrityError
from storage.keys import Key

MONDAY = Key("day_a", "day", date(2026, 11, 23), bytes(32))
TUESDAY = Key("day_b", "day", date(2026, 11, 24), bytes([1]) * 32)
PLACE = {"table": "recordings", "column": "dek", "row_id": "rec_a"}
PERSON = {"phone": "+4520123456", "agent": "a-17", "navn": "Åse"}


def test_a_wrapped_secret_comes_back() -> None:
    assert unwrap(MONDAY, wrap(MONDAY, b"secret", **PLACE), **PLACE) == b"secret"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {**PLACE, "table": "calls"},
        {**PLACE, "column": "sealed"},
        {**PLACE, "row_id": "rec_b"},
        {"table": "recording", "column": "sdek", "row_id": "rec_a"},
    ],
)
def test_p2_a_wrapped_secret_moved_elsewhere_does_not_open(elsewhere: dict[str, str]) -> None:
    wrapped = wrap(MONDAY, b"secret", **PLACE)

    with pytest.raises(IntegrityError):
        unwrap(MONDAY, wrapped, **elsewhere)


def test_p2_a_wrapped_secret_is_bound_to_the_id_of_its_key() -> None:
    wrapped = wrap(MONDAY, b"secret", **PLACE)

    with pytest.raises(IntegrityError):
        unwrap(TUESDAY, wrapped, **PLACE)
    with pytest.raises(IntegrityError):
        unwrap(Key("day_c", "day", MONDAY.day, MONDAY.material), wrapped, **PLACE)


@given(st.integers(0, 8 * 35 - 1))
def test_p2_a_flipped_bit_does_not_open(bit: int) -> None:
    wrapped = bytearray(wrap(MONDAY, b"secret", **PLACE))
    wrapped[bit // 8] ^= 1 << bit % 8

    with pytest.raises(IntegrityError):
        unwrap(MONDAY, bytes(wrapped), **PLACE)


def test_p2_every_prefix_is_refused() -> None:
    wrapped = wrap(MONDAY, b"secret", **PLACE)

    for cut in range(len(wrapped)):
        with pytest.raises(IntegrityError):
            unwrap(MONDAY, wrapped[:cut], **PLACE)


def test_p2_personal_data_come_back_and_cannot_be_seen() -> None:
    blob = seal(b"k" * 32, PERSON, table="recordings", row_id="rec_a")

    assert open_sealed(b"k" * 32, blob, table="recordings", row_id="rec_a") == PERSON
    assert b"4520123456" not in blob


@pytest.mark.parametrize("place", [{"table": "calls", "row_id": "rec_a"}, {"table": "recordings", "row_id": "rec_b"}])
def test_p2_personal_data_moved_elsewhere_do_not_open(place: dict[str, str]) -> None:
    blob = seal(b"k" * 32, PERSON, table="recordings", row_id="rec_a")

    with pytest.raises(IntegrityError):
        open_sealed(b"k" * 32, blob, **place)
    with pytest.raises(IntegrityError):
        open_sealed(b"x" * 32, blob, table="recordings", row_id="rec_a")


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    assert seal(b"k" * 32, PERSON, table="t", row_id="r") != seal(b"k" * 32, PERSON, table="t", row_id="r")
    assert wrap(MONDAY, b"secret", **PLACE) != wrap(MONDAY, b"secret", **PLACE)


def test_marks_are_equal_for_equal_values_under_one_days_key_only() -> None:
    assert mark(MONDAY, "phone", "+4520123456") == mark(MONDAY, "phone", "+4520123456")
    assert len(mark(MONDAY, "phone", "+4520123456")) == 32
    different = {
        mark(MONDAY, "phone", "+4520123456"),
        mark(TUESDAY, "phone", "+4520123456"),
        mark(MONDAY, "account", "+4520123456"),
        mark(MONDAY, "phone+", "4520123456"),
        mark(MONDAY, "phone", "+4520123457"),
    }
    assert len(different) == 5


def test_a_key_does_not_show_itself() -> None:
    assert "\\x01" not in repr(TUESDAY)
    assert "material" not in repr(TUESDAY)
