"""ISO weeks as integers, against the calendar of the standard library."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.weeks import (
    DAY,
    WEEK,
    day_of,
    event_time,
    first_day,
    iso,
    to_datetime,
    week_end,
    week_name,
    week_named,
    week_of,
    week_of_day,
    week_start,
)

instants = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2199, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
EDGES = [
    datetime(*moment).replace(tzinfo=UTC)  # noqa: DTZ001
    for moment in (
        (1969, 12, 28, 23, 59, 59),
        (1969, 12, 29),
        (1969, 12, 31, 23, 59, 59, 999_999),
        (1970, 1, 1),
        (2020, 12, 31),  # in week 53 of 2020
        (2021, 1, 3, 23, 59, 59),
        (2021, 1, 4),
        (2024, 2, 29),
        (2024, 12, 29, 23, 59, 59, 999_999),
        (2024, 12, 30),  # in week 1 of 2025
        (2027, 1, 1),  # in week 53 of 2026
    )
]


def monday(moment: datetime) -> date:
    """The Monday of the moment's ISO week, by the library."""
    year, week, _ = moment.isocalendar()
    return date.fromisocalendar(year, week, 1)


def check(moment: datetime) -> None:
    at = event_time(moment)
    week = week_of(at)
    assert week_name(week) == monday(moment).isoformat()
    assert week_start(week) <= at < week_end(week)
    assert week_of_day(day_of(at)) == week
    assert to_datetime(at) == moment
    assert to_datetime(week_start(week)) == datetime.combine(monday(moment), datetime.min.time(), UTC)


@pytest.mark.parametrize("moment", EDGES, ids=str)
def test_the_edges_of_years_and_of_the_epoch(moment: datetime) -> None:
    check(moment)


@given(instants)
def test_a_week_is_the_iso_week(moment: datetime) -> None:
    check(moment)


@given(instants, instants)
def test_weeks_subtract_to_offsets(one: datetime, other: datetime) -> None:
    assert week_of(event_time(one)) - week_of(event_time(other)) == (monday(one) - monday(other)).days // 7


@given(st.integers(-5_000, 20_000))
def test_week_named_is_the_inverse_of_week_name(week: int) -> None:
    assert week_named(week_name(week)) == week
    assert first_day(week + 1) - first_day(week) == 7
    assert week_end(week) - week_start(week) == WEEK == 7 * DAY


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31)))
def test_only_a_monday_names_a_week(day: date) -> None:
    if day.weekday() == 0:
        assert week_name(week_named(day.isoformat())) == day.isoformat()
    else:
        with pytest.raises(ValueError, match="is not a Monday"):
            week_named(day.isoformat())


@given(instants, st.integers(-14, 14))
def test_an_event_time_is_utc_whatever_the_zone(moment: datetime, hours: int) -> None:
    assert event_time(moment.astimezone(timezone(timedelta(hours=hours)))) == event_time(moment)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        event_time(datetime(2024, 6, 3))  # noqa: DTZ001


@given(instants)
def test_iso_reads_back(moment: datetime) -> None:
    text = iso(event_time(moment))
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == moment
