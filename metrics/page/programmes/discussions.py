"""Discussions: how soon and how often what people open is answered, service by service."""

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from metrics.page.programmes.figure import HIDDEN, NONE, Heat, count, heat_of_rate, spoken
from metrics.page.template import minute
from metrics.programmes.discussions import DiscussionRow, Discussions, discussions
from metrics.programmes.suppression import public_discussions
from state.cohorts.definitions import Definitions
from state.rules import Rules
from state.weeks import DAY, HOUR, SECOND

if TYPE_CHECKING:
    import duckdb

_MINUTE = 60 * SECOND


class Row(NamedTuple):
    """One service; first: the median time until somebody else replied."""

    service: str
    topics: str
    replies: str
    mean: str
    participants: str
    answered: Heat
    first: str


class Section(NamedTuple):
    """The section; since: where what came before has expired."""

    as_of: int | None
    since: str | None
    rows: tuple[Row, ...]

    def cells(self) -> list[Heat]:
        """Every cell that is shown."""
        return [row.answered for row in self.rows]


def ask_discussions(
    k: int, duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, rules: Rules, _definitions: Definitions
) -> Discussions:
    """Discussions on every service that the log has, as the public sees them."""
    return public_discussions(discussions(duck, conn, rules, exact=False), k)


def section(found: Discussions) -> Section:
    """The section out of the figures; services without a discussion are left out."""
    rows = tuple(_row(row) for row in found.rows if row.topics != 0)
    return Section(found.as_of, None if found.start is None else minute(found.start), rows)


def _row(row: DiscussionRow) -> Row:
    none = HIDDEN if row.topics is None else NONE
    return Row(
        row.service,
        count(row.topics),
        count(row.replies),
        none if row.mean_replies is None else spoken(row.mean_replies),
        count(row.participants),
        # Answers may always come: that the time goes on says nothing about this share.
        heat_of_rate(row.answered, row.topics, "final"),
        none if row.first_answer_median_s is None else length(int(row.first_answer_median_s * SECOND)),
    )


def length(span: int) -> str:
    """`3.5 hours` for microseconds; whole minutes below one hour."""
    if span < HOUR:
        return f"{round(span / _MINUTE)} min"
    return f"{span / HOUR:.1f} hours" if span < 2 * DAY else f"{span / DAY:.1f} days"
