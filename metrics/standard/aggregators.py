"""Aggregates over users: undefined and censored ones are in neither numerator nor denominator."""

from collections.abc import Callable, Mapping
from typing import Any

from metrics.standard.metric import AggregateRow, Aggregator, Question

#: SQL: the users who count, of the temporary table `value`.
COUNTED = "status IN ('final', 'open')"


def same(header: tuple[str, ...]) -> tuple[str, ...]:
    """The metric's own columns."""
    return header


def rows_of(question: Question, sql: str) -> list[AggregateRow]:
    """Rows of a query (slice, values..., users)."""
    return [(number, tuple(values), users) for number, *values, users in question.rows(sql)]


def _each(summary: str, function: str) -> Aggregator:
    def rows(question: Question, header: tuple[str, ...]) -> list[AggregateRow]:
        values = ", ".join(f"{function}({name})" for name in header)
        return rows_of(question, f"SELECT slice, {values}, count(*) FROM value WHERE {COUNTED} GROUP BY slice")

    return Aggregator(summary, same, rows)


def _proportion(question: Question, header: tuple[str, ...]) -> list[AggregateRow]:
    reached = f"sum({header[0]})"
    return rows_of(
        question,
        f"""SELECT slice, count(*), {reached}, {reached} / count(*), count(*)
        FROM value WHERE {COUNTED} GROUP BY slice""",
    )


def _dist(question: Question, header: tuple[str, ...]) -> list[AggregateRow]:
    return rows_of(
        question,
        f"""SELECT slice, {header[0]}, count(*), count(*) FROM value WHERE {COUNTED}
        GROUP BY slice, {header[0]} ORDER BY slice, {header[0]}""",
    )


def proportion(reached: str) -> Aggregator:
    """[total, reached, rate]; the rate of nobody is 0."""
    return Aggregator("users who count, those who reached it, their share", _three(reached), _proportion)


def _three(reached: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    return lambda _header: ("total_users", reached, "rate")


_ALL: Mapping[str, Aggregator] = {
    "sum": _each("sum over users", "sum"),
    "mean": _each("mean over users", "avg"),
    "median": _each("median over users", "median"),
    "std": _each("standard deviation of the population", "stddev_pop"),
    "min": _each("least of the users", "min"),
    "max": _each("greatest of the users", "max"),
    "dist": Aggregator("how many users have each value", lambda header: (header[0], "users"), _dist, one_row=False),
}


def aggregators(*names: str) -> dict[str, Aggregator]:
    """The ordinary aggregators of these names."""
    return {name: _ALL[name] for name in names}


def zeros(header: tuple[Any, ...]) -> tuple[int, ...]:
    """The row of an empty slice."""
    return (0,) * len(header)
