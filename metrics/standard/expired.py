"""Expired weeks: day summaries as events again, and which requests may be answered out of them.

A summary row stands for so many events of one day; its first and last time are known. It is read as so many events,
the ones between spread evenly, and of sizes whose sums and counts are the row's. So what adds up whole days is
exact, and anything finer is not.
"""

import sqlite3
from pathlib import Path

from metrics.standard.metric import Metric, Question
from metrics.standard.parameters import Options
from metrics.standard.slices import Slices
from state.errors import HomecomingError
from state.log import DAYS, files, parquet_sql
from state.weeks import DAY, iso, week_end


def first_whole_day(conn: sqlite3.Connection) -> int | None:
    """Event time from which on every event is known; None where nothing has expired."""
    (week,) = conn.execute("SELECT max(week) FROM segment WHERE kind = ?", (DAYS,)).fetchone()
    return None if week is None else week_end(week)


def summaries(conn: sqlite3.Connection, directory: Path, reach: tuple[int, int]) -> str | None:
    """SQL of the day summaries within the reach, None where there are none."""
    low, high = reach
    named = conn.execute("SELECT DISTINCT week FROM segment WHERE kind = ?", (DAYS,)).fetchall()
    weeks = [week for (week,) in named if low < week_end(week) and high > week_end(week - 1)]
    return parquet_sql(directory, files(conn, DAYS, weeks)) if weeks else None


def as_events(table: str, wanted: str) -> str:
    """SQL of the rows of a table of summaries, those wanted, as events."""
    return f"""SELECT username, topic, role, service, project, namespace, NULL::VARCHAR AS object, unit,
            NULL::VARCHAR AS content_hash, NULL::VARCHAR AS msg_id, is_bot,
            epoch_us(first_at) + place * (epoch_us(last_at) - epoch_us(first_at)) // greatest(events - 1, 1) AS at,
            CASE WHEN place >= sized THEN NULL
                WHEN place = 0 AND size_added IS NOT NULL THEN size_added
                WHEN place = (size_added IS NOT NULL)::BIGINT AND size_removed IS NOT NULL THEN size_removed
                ELSE 0 END AS size
        FROM (SELECT *, unnest(range(events)) AS place FROM {table} WHERE {wanted})"""


def is_exact(question: Question, metric: Metric, slices: Slices | None, reach: tuple[int, int]) -> bool:
    """Whether the log answers exactly. Raises HomecomingError where it does not and `exact=false` was not asked."""
    begins = first_whole_day(question.conn)
    low, high = reach
    if begins is None or low >= begins or low >= high or _adds_up_days(question.options, metric, slices):
        return True
    if not question.options.exact:
        return False
    raise HomecomingError(
        f"{metric.name}: this needs events from before {iso(begins)[:10]}, of which only day summaries are left: "
        f"choose a start from {iso(begins)[:10]} on, or ask with exact=false"
    )


def _adds_up_days(options: Options, metric: Metric, slices: Slices | None) -> bool:
    if not metric.whole_days(options):
        return False
    if "group" not in metric.parameters:
        return True
    if options.group != "activity" or options.interval != "left":
        return False
    ends = [end for bounds in slices.bounds for end in bounds] if slices else [options.start, options.end]
    return all(end is None or end % DAY == 0 for end in ends)
