"""What a metric is, and what it is asked."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from metrics.standard.parameters import WINDOWED, Options
from metrics.standard.topics import Topics
from state.duck import literal
from state.rules import Rules
from state.weeks import HOUR

if TYPE_CHECKING:
    import duckdb

#: A value's status. Inside, an open value of a window that will pass is `censored`: no aggregate counts it.
Status = Literal["final", "open", "undefined"]

#: One row of an aggregate: the slice it belongs to, its values, and the users that stand behind it.
AggregateRow = tuple[int, tuple[Any, ...], int]


@dataclass(frozen=True, slots=True)
class Question:
    """One metric asked of one cohort.

    duck holds the relations of metrics.standard.inputs; conn is the views' connection of the same snapshot;
    as_of the watermark in microseconds. What the answer must say beside its numbers goes into `notes`.
    """

    duck: "duckdb.DuckDBPyConnection"
    conn: sqlite3.Connection
    rules: Rules
    options: Options
    as_of: int
    topics: Topics
    notes: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of the query."""
        found: list[tuple[Any, ...]] = self.duck.execute(sql).fetchall()
        return found


class Span(NamedTuple):
    """A user's window, microseconds after registration: where it begins, and how long it is (None: without end)."""

    after: int
    length: int | None


def window_of_t(options: Options) -> Span:
    """[reg, reg + t)."""
    return Span(0, None if options.t is None else options.t * HOUR)


class Aggregator(NamedTuple):
    """Rows out of the temporary table `value` (slice, uid, the metric's columns, status)."""

    summary: str
    header: Callable[[tuple[str, ...]], tuple[str, ...]]
    rows: Callable[[Question, tuple[str, ...]], list[AggregateRow]]
    #: Slices in which nobody counts are rows of zeros; where an aggregate has a row a group, they have none.
    one_row: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. build: SQL of (slice, uid, the header's columns, status) for everybody in `frame`.

    parameters: names out of metrics.standard.parameters; defaults, choices and meanings where they differ from those.
    feeds: what feeds it on Fedora's bus, and what cannot be had there.
    whole_days: whether it adds up whole days, which summaries of days carry too.
    reads_log: whether its values come out of the log at all. registrations: whether the frame needs reg in any group.
    reach: for a metric without a frame, the event times [low, high) that it reads.
    series: slices in one query ("once"), a query for each ("each", with its end as the options' end), or none.
    """

    name: str
    summary: str
    feeds: str
    header: tuple[str, ...]
    build: Callable[[Question], str]
    aggregators: Mapping[str, Aggregator]
    parameters: tuple[str, ...] = WINDOWED
    defaults: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({"t": "24"}))
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    meanings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    window: Callable[[Options], Span] = window_of_t
    unit: Callable[[Question], str | None] = lambda question: ", ".join(question.units) or None
    whole_days: Callable[[Options], bool] = lambda _options: False
    registrations: bool = False
    reads_log: Callable[[Question], bool] = lambda _question: True
    reach: Callable[[Question], tuple[int, int]] | None = None
    series: Literal["once", "each", "none"] = "once"
    check: Callable[[Options], None] = lambda _options: None


def always(_options: Options) -> bool:
    """For `whole_days`: whatever the options."""
    return True


def filled(values: str, blanks: Mapping[str, str], status: str = "f.status") -> str:
    """Everybody in the frame: their columns of the query `values` (slice, uid, ...), or the blanks.

    Somebody without a window (no known registration) has no values. status: SQL over f (the frame) and v.
    """
    columns = ", ".join(
        f"CASE WHEN f.status <> 'undefined' THEN coalesce(v.{name}, {blank}) END AS {name}"
        for name, blank in blanks.items()
    )
    return f"""SELECT f.slice, f.uid, {columns}, {status} AS status
        FROM frame f LEFT JOIN ({values}) v ON v.slice = f.slice AND v.uid = f.uid"""


def among(column: str, texts: Iterable[str]) -> str:
    """SQL: whether the column is one of the texts."""
    listed: Sequence[str] = sorted(texts)
    return f"{column} IN ({', '.join(map(literal, listed))})" if listed else "FALSE"
