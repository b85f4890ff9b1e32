"""Weeks, days and event times as integers.

An event time is microseconds since 1970-01-01 UTC. A day is days since 1970-01-01. A week is an
ISO week (Monday 00:00 UTC), counted so that subtracting two weeks gives a retention offset.
"""

from datetime import UTC, date, datetime, timedelta

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 86_400 * SECOND
WEEK = 7 * DAY

#: 1970-01-01 was a Thursday, three days into its week; week 0 is that week.
_MONDAY_SHIFT = 3

_EPOCH = date(1970, 1, 1)
_EPOCH_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(at: int) -> int:
    """The UTC day in which the event time `at` falls."""
    return at // DAY


def week_of_day(day: int) -> int:
    """The week in which the day falls."""
    return (day + _MONDAY_SHIFT) // 7


def week_of(at: int) -> int:
    """The week in which the event time `at` falls."""
    return week_of_day(day_of(at))


def first_day(week: int) -> int:
    """The week's Monday as a day."""
    return week * 7 - _MONDAY_SHIFT


def week_start(week: int) -> int:
    """Event time at which the week begins."""
    return first_day(week) * DAY


def week_end(week: int) -> int:
    """Event time at which the week is over (the start of the next one)."""
    return week_start(week + 1)


def week_name(week: int) -> str:
    """The week's Monday, `2024-06-03`."""
    return (_EPOCH + timedelta(days=first_day(week))).isoformat()


def week_named(name: str) -> int:
    """The week whose Monday is `name`; ValueError where it is no Monday."""
    day = (date.fromisoformat(name) - _EPOCH).days
    if (day + _MONDAY_SHIFT) % 7:
        raise ValueError(f"{name} is not a Monday")
    return week_of_day(day)


def event_time(moment: datetime) -> int:
    """Event time of an aware datetime; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return (moment - _EPOCH_INSTANT) // timedelta(microseconds=1)


def event_time_of(text: str) -> int:
    """Event time of an ISO 8601 text, UTC where it names no zone; ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    return event_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def to_datetime(at: int) -> datetime:
    """The event time as an aware UTC datetime."""
    return _EPOCH_INSTANT + timedelta(microseconds=at)


def iso(at: int) -> str:
    """The event time as ISO 8601 with `Z`, seconds where it has no fraction."""
    return to_datetime(at).isoformat().replace("+00:00", "Z")
