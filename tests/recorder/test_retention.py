"""Rules of time: ninety days to the second, whatever calendars do; and what may be heard until then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import ForbiddenError, RecorderError, RecordingNotFoundError
from recorder.retention import anchor, expires_at, policy_days, readable
from recorder.settings import Retention
from storage.catalogue.recordings import Recording

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
END = datetime(2026, 9, 3, 8, 18, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AGREED = ("quality", "documentation")


def stored(**changes: object) -> Recording:
    values = {"state": "stored", "expires_at": END + timedelta(days=90), "dek": b"wrapped"} | changes
    return Recording(id="rec_1", call_id="call_1", platform="standard", **values)  # type: ignore[arg-type] -- shorthand


def may(recording: Recording, purpose: str, now: datetime, **known: tuple[str, ...]) -> bool:
    try:
        readable(recording, purpose, now, consented=AGREED, **known)
    except RecorderError:
        return False
    return True


def test_ninety_days_over_the_change_to_winter_time() -> None:
    ended = datetime(2026, 9, 3, 10, 18, tzinfo=COPENHAGEN)

    assert expires_at(ended.astimezone(UTC), 90).astimezone(COPENHAGEN) == datetime(
        2026, 12, 2, 9, 18, tzinfo=COPENHAGEN
    )


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.integers(1, 90))  # noqa: DTZ001 -- bounds; hypothesis adds the zone
def test_a_day_is_86400_seconds(ended: datetime, days: int) -> None:
    assert (expires_at(ended, days) - ended).total_seconds() == days * 86_400


def test_days_are_counted_from_the_end_of_the_call_and_never_from_the_upload() -> None:
    later, begun = END + SECOND, END - SECOND

    assert anchor(END, later, begun) == END
    assert anchor(None, later, begun) == later
    assert anchor(None, None, begun) == begun
    assert anchor(None, None, None) is None


def test_nobody_is_kept_longer_than_told() -> None:
    settings = Retention(private_inbound_days=60)

    assert policy_days(settings, "private_inbound", [90]) == 60
    assert policy_days(settings, "private_inbound", [90, 30]) == 30
    assert policy_days(settings, "business_inbound", []) == 90


def test_p3_reading_ends_at_the_second() -> None:
    due = END + timedelta(days=90)

    assert may(stored(), "quality", due - SECOND)
    assert not may(stored(), "quality", due)
    assert not may(stored(), "access", due)
    assert may(stored(holds=1), "quality", due - SECOND, held_for=("legal",))
    assert not may(stored(holds=1), "quality", due, held_for=("legal",))


@pytest.mark.parametrize("state", ["announced", "capturing", "erasing", "discarded", "failed"])
def test_p3_only_what_is_stored_is_read(state: str) -> None:
    with pytest.raises(RecordingNotFoundError):
        readable(stored(state=state), "quality", END, consented=AGREED)


def test_p3_without_its_data_key_nothing_is_read() -> None:
    with pytest.raises(RecordingNotFoundError):
        readable(stored(dek=None), "access", END)


def test_p4_only_purposes_that_were_agreed_to_open_a_recording() -> None:
    assert may(stored(), "documentation", END)
    assert may(stored(), "access", END)
    with pytest.raises(ForbiddenError):
        readable(stored(), "training", END, consented=AGREED)
    with pytest.raises(ForbiddenError):
        readable(stored(), "quality", END)


@pytest.mark.parametrize("kind", ["legal", "dispute"])
def test_p4_a_hold_adds_its_purpose_and_takes_none_while_the_yes_stands(kind: str) -> None:
    held = stored(holds=2)

    assert may(held, kind, END, held_for=(kind, "access"))
    assert may(held, "quality", END, held_for=(kind, "access"))
    assert may(held, "access", END, held_for=(kind, "access"))
    assert not may(held, "training", END, held_for=(kind, "access"))


@pytest.mark.parametrize("kind", ["legal", "dispute", "restriction"])
@pytest.mark.parametrize("purpose", ["quality", "access"])
def test_p4_withdrawn_or_past_its_time_a_held_recording_opens_for_the_hold_alone(kind: str, purpose: str) -> None:
    held, after = stored(holds=2), END + timedelta(days=95)

    readable(held, kind, END, consented=(), held_for=(kind, "access"))
    assert may(held, kind, after, held_for=(kind, "access"))
    with pytest.raises(ForbiddenError):
        readable(held, purpose, END, consented=(), held_for=(kind, "access"))
    assert not may(held, purpose, after, held_for=(kind, "access"))


def test_p4_a_restriction_closes_it_to_all_else_at_once() -> None:
    held = stored(holds=1)

    assert may(held, "restriction", END, held_for=("restriction",))
    assert not may(held, "quality", END, held_for=("restriction",))
    assert not may(held, "access", END, held_for=("restriction", "access"))


def test_p4_a_hold_nobody_names_closes_a_recording() -> None:
    assert not may(stored(holds=1), "quality", END)


def test_p4_past_its_time_an_access_hold_opens_it_to_the_person_alone() -> None:
    held, after = stored(holds=1), END + timedelta(days=95)

    assert may(held, "access", after, held_for=("access",))
    assert not may(held, "quality", after, held_for=("access",))
    assert may(held, "quality", END, held_for=("access",))
