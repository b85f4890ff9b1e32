"""Discussions: threads that were opened, and how soon and how often somebody answered, comparable between services.

A thread is answered once a solution was accepted, somebody else replied, or it was closed (threads.py says which
actions do that where). Of a mailing list, opening and replying are one action: `threads.Discussion.opens_whole`.
"""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from metrics.programmes.activity import define_topics
from metrics.programmes.spans import is_exact, month_name, month_start, span_state, whole_since
from metrics.programmes.threads import DISCUSSIONS, OPENING_POST, SERVICES, steps
from state.cells import CellState
from state.coverage import gaps
from state.errors import HomecomingError
from state.log import load_rows
from state.rules import Rules
from state.store import get_meta

if TYPE_CHECKING:
    import duckdb

#: DuckDB: the calendar month in which a thread was opened, as spans.month_of has it.
_MONTH = "(year(make_timestamp(opened_at)) * 12 + month(make_timestamp(opened_at)) - 1)::INTEGER"

By = Literal["service", "month"]
BY: tuple[By, ...] = get_args(By)


class DiscussionRow(NamedTuple):
    """Threads of one service that were opened in [start, end), and what became of them by the watermark.

    month: `2024-06` where there is a row a month. participants: people who opened or replied, None where it is not
    for everybody to see. answered: threads answered by any means; replied, solved, closed: by this one.
    first_answer_s: seconds until somebody else replied, median and mean over the threads that were replied to.
    """

    service: str
    month: str | None
    topics: int | None
    replies: int | None
    participants: int | None
    answered: int | None
    replied: int | None
    solved: int | None
    closed: int | None
    first_answer_median_s: float | None
    first_answer_mean_s: float | None
    state: CellState

    @property
    def mean_replies(self) -> float | None:
        """Replies per topic; None without a topic."""
        return None if self.replies is None or not self.topics else self.replies / self.topics

    @property
    def share_answered(self) -> float | None:
        """answered / topics, 0 to 1; None without a topic."""
        return None if self.answered is None or not self.topics else self.answered / self.topics


class Discussions(NamedTuple):
    """Rows by service, and by month where that was asked for. start, end: event times, None where not bounded."""

    as_of: int | None
    exact: bool
    start: int | None
    end: int | None
    by: By
    rows: tuple[DiscussionRow, ...]


#: DuckDB: whatever opens, answers, solves or closes, once a message. Who wrote it may be unknown.
_STEP = """
    CREATE OR REPLACE TABLE step AS
    SELECT thread_step.service, does, split_part(object, '#', 1) AS thread, epoch_us(sent_at) AS done_at, msg_id,
        min(username) AS author
    FROM log JOIN topic_kind USING (topic) JOIN thread_step USING (action)
    WHERE role = 'actor' AND object IS NOT NULL AND NOT coalesce(is_bot, false)
        AND (username IS NULL OR username NOT IN (FROM known_bot))
        AND CASE does
            WHEN 'opens' THEN NOT contains(object, '#') OR thread_step.service NOT IN (FROM opening_whole)
            WHEN 'replies' THEN contains(object, '#') OR thread_step.service NOT IN (FROM opening_whole)
            WHEN 'closes' THEN ends_with(object, '#closed')
            ELSE true END
    GROUP BY ALL"""

#: DuckDB: one row a thread.
_THREAD = """
    CREATE OR REPLACE TABLE thread AS
    WITH opened AS (
        SELECT service, thread, min(done_at) AS opened_at, arg_min(author, (done_at, msg_id)) AS opener
        FROM step WHERE does = 'opens' GROUP BY service, thread),
    later AS (
        SELECT opened.*, does, author, done_at FROM opened JOIN step USING (service, thread)
        WHERE does <> 'opens' AND done_at >= opened_at AND NOT (
            does = 'replies' AND author IS NOT DISTINCT FROM opener AND done_at <= opened_at + $opening_post
            AND service IN (FROM opening_post)))
    SELECT opened.service, opened.thread, opened.opened_at,
        count(*) FILTER (does = 'replies') AS replies,
        min(done_at) FILTER (does = 'replies' AND author IS DISTINCT FROM opened.opener) AS first_answer_at,
        count(*) FILTER (does = 'solves') > 0 AS solved,
        count(*) FILTER (does = 'closes') > 0 AS closed,
        list_distinct(list_concat(list(author) FILTER (does = 'replies'), [opened.opener])) AS people
    FROM opened LEFT JOIN later USING (service, thread)
    WHERE opened.opened_at >= $start AND opened.opened_at < $end
    GROUP BY opened.service, opened.thread, opened.opened_at, opened.opener"""

_ROWS = """
    SELECT service, {month}, count(*), sum(replies)::BIGINT, count(*) FILTER (
            solved OR closed OR first_answer_at IS NOT NULL),
        count(first_answer_at), count(*) FILTER (solved), count(*) FILTER (closed),
        median((first_answer_at - opened_at) / 1000000.0), avg((first_answer_at - opened_at) / 1000000.0),
        len(list_distinct(flatten(list(people))))
    FROM thread GROUP BY 1, 2"""


def discussions(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    *,
    start: int | None = None,
    end: int | None = None,
    services: Sequence[str] = SERVICES,
    by: By = "service",
    exact: bool = True,
) -> Discussions:
    """Discussions opened in [start, end) on these services, over the view `log`; without bounds, whatever it holds.

    What known bots (rules.allowlist) write neither opens nor answers. Raises HomecomingError for an unknown service,
    and where the start lies in expired weeks and an exact answer is asked for.
    """
    for service in services:
        if service not in SERVICES:
            raise HomecomingError(f"no discussions on {service!r:.60}: one of {', '.join(SERVICES)}")
    as_of = get_meta(conn, "watermark")
    first = whole_since(conn) if start is None else start
    was_exact = first is None or is_exact(conn, first, "discussions", exact=exact)
    _define_threads(duck, conn, rules, first, end)
    month = "NULL::INTEGER" if by == "service" else _MONTH
    found = {(service, at): figures for service, at, *figures in duck.execute(_ROWS.format(month=month)).fetchall()}
    rows = []
    for service in services:
        for at in [None] if by == "service" else sorted(at for name, at in found if name == service):
            figures = found.get((service, at), [0, 0, 0, 0, 0, 0, None, None, 0])
            topics, replies, answered, replied, solved, closed, median, mean, people = figures
            state = _state(conn, at, first, end, as_of)
            name = None if at is None else month_name(at)
            rows.append(
                DiscussionRow(
                    service, name, topics, replies, people, answered, replied, solved, closed, median, mean, state
                )
            )
    return Discussions(as_of, was_exact, first, end, by, tuple(rows))


def _define_threads(
    duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, rules: Rules, start: int | None, end: int | None
) -> None:
    define_topics(duck, conn, rules)
    load_rows(duck, "thread_step", dict.fromkeys(("action", "service", "does"), "VARCHAR"), [steps()])
    load_rows(duck, "known_bot", {"username": "VARCHAR"}, [[(name,) for name in sorted(rules.allowlist)]])
    whole = [(discussion.service,) for discussion in DISCUSSIONS if discussion.opens_whole]
    load_rows(duck, "opening_whole", {"service": "VARCHAR"}, [whole])
    posting = [(discussion.service,) for discussion in DISCUSSIONS if discussion.posts_opening]
    load_rows(duck, "opening_post", {"service": "VARCHAR"}, [posting])
    duck.execute(_STEP)
    bounds = {"start": -(2**62) if start is None else start, "end": 2**62 if end is None else end}
    duck.execute(_THREAD, {**bounds, "opening_post": OPENING_POST})


def _state(
    conn: sqlite3.Connection, month: int | None, start: int | None, end: int | None, as_of: int | None
) -> CellState:
    """Of the span in which the threads were opened; answers may always come."""
    if as_of is None:
        return "future"
    first = month_start(month) if month is not None else as_of if start is None else start
    last = month_start(month + 1) if month is not None else as_of + 1 if end is None else end
    return span_state(max(first, start or first), min(last, end or last), as_of, gaps(conn))
