"""A metric asked of a cohort, answered."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from metrics.standard import expired, inputs
from metrics.standard.aggregators import zeros
from metrics.standard.metric import AggregateRow, Aggregator, Metric, Question, Status
from metrics.standard.options import metric_named
from metrics.standard.parameters import FOREVER, Options
from metrics.standard.slices import Slices, slices_of
from metrics.standard.topics import topics_of
from state.errors import HomecomingError
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

#: Members times slices in one query: more are worked in turns, which bounds the memory of a long time series.
_CELLS = 4_000_000

#: Rows of an answer that names users.
_MAX_RAW = 2_000_000

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """as_of: the watermark in microseconds, None for an empty state. exact: whether no expired event was spread.

    rows, by type, in the order of `header`:
    raw: (user, values..., status), of a time series (slice, user, values..., status);
    aggregator: values, one row or, of some aggregators, a row a group; time_series: (slice, values...).
    A slice is its start in microseconds. Undefined values are None. sizes: for each row the users behind it.
    status: final where every window has passed, undefined where nobody counts. unit: of the values, if they have one.
    """

    metric: str
    options: Options
    type: Literal["raw", "aggregator", "time_series"]
    as_of: int | None
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    sizes: tuple[int, ...]
    status: Status
    unit: str | None
    notes: tuple[str, ...]
    exact: bool


def answer(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    metric: str,
    options: Options,
    as_of: int | None,
) -> Answer:
    """The metric over the members in DuckDB's table `member`, out of the view `log` and the views of one snapshot.

    Raises HomecomingError for what the log cannot answer: it names what would be answered.
    """
    import duckdb  # noqa: PLC0415 - loaded only when used

    try:
        return _answer(duck, conn, rules, metric_named(metric), options, as_of)
    except duckdb.OutOfMemoryException:
        raise HomecomingError(
            f"{metric}: this needs more memory than DuckDB may take here: ask for a shorter window or a smaller cohort"
        ) from None


def _answer(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    asked: Metric,
    options: Options,
    as_of: int | None,
) -> Answer:
    question = Question(
        duck,
        conn,
        rules,
        options,
        -FOREVER if as_of is None else as_of,
        topics_of((topic for (topic,) in _topics(duck, conn)), rules),
    )
    slices = slices_of(options) if options.time_series else None
    work = _Work(question, asked, slices)
    rows, sizes = work.raw() if options.aggregator is None else work.aggregated()
    header = asked.header if options.aggregator is None else asked.aggregators[options.aggregator].header(asked.header)
    if options.aggregator is None:
        header = ("user", *header, "status")
    return Answer(
        metric=asked.name,
        options=options,
        type="time_series" if slices else "raw" if options.aggregator is None else "aggregator",
        as_of=as_of,
        header=("slice", *header) if slices else header,
        rows=tuple(rows),
        sizes=tuple(sizes),
        status=work.status(),
        unit=asked.unit(question),
        notes=tuple(dict.fromkeys(question.notes)),
        exact=work.exact,
    )


def _topics(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> list[tuple[str]]:
    summaries = expired.summaries(conn, inputs.directory_of(conn), (-FOREVER, FOREVER))
    more = f" UNION SELECT topic FROM {summaries}" if summaries else ""
    found: list[tuple[str]] = duck.execute(f"SELECT DISTINCT topic FROM log{more}").fetchall()
    return found


class _Work:
    """One question, worked in as many queries as its slices need."""

    def __init__(self, question: Question, metric: Metric, slices: Slices | None) -> None:
        self.question = question
        self.metric = metric
        self.slices = slices
        self.exact = True
        self.statuses: set[str] = set()

    def raw(self) -> tuple[list[Row], list[int]]:
        columns = ", ".join(self.metric.header)
        rows: list[Row] = []
        for numbers, question in self._queries():
            found = question.rows(
                f"""SELECT slice, username, {columns}, CASE status WHEN 'censored' THEN 'open' ELSE status END
                FROM value JOIN person USING (uid) ORDER BY slice, username"""
            )
            if len(rows) + len(found) > _MAX_RAW:
                raise HomecomingError(f"{self.metric.name}: more than {_MAX_RAW:,} rows: ask with an aggregator")
            for number, *row in found:
                rows.append((self._label(numbers, number), *row) if self.slices else tuple(row))
        return rows, [1] * len(rows)

    def aggregated(self) -> tuple[list[Row], list[int]]:
        header = self.metric.header
        aggregator = self.metric.aggregators[str(self.question.options.aggregator)]
        blank = zeros(aggregator.header(header))
        rows: list[Row] = []
        sizes: list[int] = []
        for numbers, question in self._queries():
            found = aggregator.rows(question, header)
            if aggregator.one_row:
                by_slice: Mapping[int, AggregateRow] = {number: row for row in found for number in (row[0],)}
                empty = blank if self.slices or self._is_zero_of_nobody(aggregator, question) else (None,) * len(blank)
                present = range(len(numbers)) if self.metric.series == "each" or not self.slices else numbers
                found = [by_slice.get(number, (number, empty, 0)) for number in present]
            for number, values, users in found:
                rows.append((self._label(numbers, number), *values) if self.slices else values)
                sizes.append(users)
        return rows, sizes

    def status(self) -> Status:
        if self.statuses & {"open", "censored"}:
            return "open"
        return "final" if "final" in self.statuses else "undefined"

    def _is_zero_of_nobody(self, aggregator: Aggregator, question: Question) -> bool:
        """Whether this is 0 where nobody counts: shares are, sums unless there is somebody whose value is undefined."""
        if aggregator.header(self.metric.header)[-1] == "rate":
            return True
        return question.options.aggregator == "sum" and not self.statuses

    def _label(self, numbers: range, number: int) -> int:
        bounds = self.slices.bounds if self.slices else ()
        return bounds[numbers[number] if self.metric.series == "each" else number][0]

    def _queries(self) -> Iterator[tuple[range, Question]]:
        """After each, the temporary table `value` holds the relation for these slices."""
        question, metric, slices = self.question, self.metric, self.slices
        by_registration = inputs.is_by_registration(metric, question.options)
        inputs.define_people(question, registered=metric.registrations or by_registration)
        if slices is None:
            self._work_out(question, None, None)
            yield range(1), question
            return
        if metric.series == "each":
            for number, (low, high) in enumerate(slices.bounds):
                part = replace(question, options=replace(question.options, start=low, end=high))
                self._work_out(part, None, None)
                yield range(number, number + 1), part
            return
        step = len(slices.bounds)
        if not by_registration:
            (members,) = question.rows("SELECT count(*) FROM person")[0]
            step = max(1, min(step, _CELLS // max(1, members)))
        for first in range(0, len(slices.bounds), step):
            numbers = range(first, min(first + step, len(slices.bounds)))
            self._work_out(question, slices, numbers)
            yield numbers, question

    def _work_out(self, question: Question, slices: Slices | None, chosen: range | None) -> None:
        metric = self.metric
        if metric.reach is None:
            inputs.define_frame(question, metric, slices, chosen)
            reach = inputs.reach_of_frame(question)
        else:
            reach = metric.reach(question)
        if metric.reads_log(question):
            self.exact &= expired.is_exact(question, metric, slices, reach)
            inputs.define_contributions(question, reach)
            if metric.reach is None:
                inputs.define_acts(question, metric, slices, reach)
        question.duck.execute(f"CREATE OR REPLACE TEMP TABLE value AS {metric.build(question)}")
        self.statuses.update(status for (status,) in question.rows("SELECT DISTINCT status FROM value"))
