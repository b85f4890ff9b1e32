"""Spans of event time that are no weeks: how far a figure about one can be trusted, and calendar months."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from state.cells import ALLOWED_LATENESS, CellState, Gap
from state.errors import HomecomingError
from state.store import get_meta
from state.weeks import event_time, iso, to_datetime, week_end


def span_state(start: int, end: int, watermark: int, gaps: Iterable[Gap] = ()) -> CellState:
    """State of what counts activity in [start, end): as of the cells of the retention table."""
    if start > watermark:
        return "future"
    if any(begins < end and start < ends for begins, ends in gaps):
        return "partial"
    return "final" if watermark >= end + ALLOWED_LATENESS else "open"


def joint_state(states: Sequence[CellState]) -> CellState:
    """State of what is counted over several spans: no better than the worst of those that have begun."""
    if not states or all(state == "future" for state in states):
        return "future"
    if "partial" in states:
        return "partial"
    return "final" if all(state == "final" for state in states) else "open"


def month_of(at: int) -> int:
    """The calendar month (UTC) of the event time, in months since year 0."""
    moment = to_datetime(at)
    return moment.year * 12 + moment.month - 1


def month_start(month: int) -> int:
    """Event time at which the month begins."""
    return event_time(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC))


def month_name(month: int) -> str:
    """`2024-06`."""
    return f"{month // 12:04}-{month % 12 + 1:02}"


def whole_since(conn: sqlite3.Connection) -> int | None:
    """Event time from which on the log is whole; None where nothing has expired."""
    through = get_meta(conn, "expired_through")
    return None if through is None else week_end(through)


def is_exact(conn: sqlite3.Connection, earliest: int | None, what: str, *, exact: bool) -> bool:
    """Whether the log still has everything from `earliest` on (None: from the beginning on).

    Raises HomecomingError where it has not, unless an inexact answer was asked for.
    """
    since = whole_since(conn)
    if since is None or (earliest is not None and earliest >= since):
        return True
    if exact:
        raise HomecomingError(
            f"{what} reaches back to {'the beginning' if earliest is None else iso(earliest)}, but events before "
            f"{iso(since)} have expired: ask for what lies after it, or for an answer that need not be exact"
        )
    return False
