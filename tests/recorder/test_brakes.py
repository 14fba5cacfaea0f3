"""What stops an unattended sweep, and for how long."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recorder.sweep.brakes import Brake, clock_brakes, forecast_brakes, still_holding

NOW = datetime(2026, 12, 2, 10, tzinfo=UTC)
TODAY = NOW.date()
SECOND, FIVE_MINUTES, DAY = timedelta(seconds=1), timedelta(minutes=5), timedelta(days=1)
days = st.dictionaries(st.dates(date(2026, 11, 1), date(2026, 12, 2)), st.integers(0, 50))


def test_clocks_that_agree_or_say_nothing_stop_nothing() -> None:
    seconds = {"database": NOW + FIVE_MINUTES, "store": None}
    assert clock_brakes(NOW, seconds, NOW - SECOND) == []


def test_a_second_clock_that_differs_by_more_than_five_minutes_stops() -> None:
    for wrong in (NOW + FIVE_MINUTES + SECOND, NOW - FIVE_MINUTES - SECOND):
        assert [brake.kind for brake in clock_brakes(NOW, {"store": wrong}, None)] == ["second_clock"]


def test_a_clock_behind_the_log_stops_and_one_far_ahead_of_it_does_not() -> None:
    assert [brake.kind for brake in clock_brakes(NOW, {}, NOW + timedelta(hours=1))] == ["behind_audit"]
    assert clock_brakes(NOW, {}, NOW - timedelta(days=91)) == []


def test_an_entry_written_while_the_sweep_began_is_no_clock_gone_back() -> None:
    assert clock_brakes(NOW, {}, NOW + SECOND) == []


@given(days)
def test_what_was_foreseen_never_stops(foreseen: dict[date, int]) -> None:
    assert forecast_brakes(dict(foreseen), foreseen, TODAY) == []


@given(days, st.sampled_from([date(2026, 11, 20), TODAY]), st.integers(1, 50))
def test_one_more_than_foreseen_stops_on_any_day(foreseen: dict[date, int], day: date, more: int) -> None:
    found = dict(foreseen) | {day: foreseen.get(day, 0) + more}
    assert [brake.kind for brake in forecast_brakes(found, foreseen, TODAY)] == ["forecast"]


def test_fewer_than_foreseen_stop_only_once_the_day_is_over() -> None:
    yesterday = TODAY - timedelta(days=1)
    assert forecast_brakes({TODAY: 1}, {TODAY: 5}, TODAY) == []
    assert len(forecast_brakes({yesterday: 4}, {yesterday: 5}, TODAY)) == 1
    assert len(forecast_brakes({}, {yesterday: 1}, TODAY)) == 1


def test_a_brake_holds_for_a_day_and_no_longer() -> None:
    brake = Brake("forecast", "")
    assert still_holding({}, [brake], NOW) == [brake]
    assert still_holding({"forecast": NOW - DAY + SECOND}, [brake], NOW) == [brake]
    assert still_holding({"forecast": NOW - DAY}, [brake], NOW) == []
    assert still_holding({"second_clock": NOW - DAY}, [brake], NOW) == [brake]
