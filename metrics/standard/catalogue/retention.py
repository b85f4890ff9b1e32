"""Who comes back, by the time since registration."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

from metrics.standard.inputs import window_of
from metrics.standard.intervals import Intervals
from metrics.standard.metric import AggregateRow, Aggregator, Metric, Question
from metrics.standard.parameters import COMMON, FOREVER, Options
from state.cells import ALLOWED_LATENESS, CellState
from state.coverage import gaps


class _Cell(NamedTuple):
    """Members of the cohort (the start of its interval) who were active at the offset; passed: its time is over."""

    cohort: int
    size: int
    offset: int
    users: int
    state: CellState
    passed: bool


def _intervals(options: Options) -> Intervals:
    return Intervals(options.interval, options.week_start)


def _registered(question: Question) -> str:
    low, high = window_of(question.options)
    return f"reg >= {low} AND reg < {high}"


def _reach(question: Question) -> tuple[int, int]:
    (first,) = question.rows(f"SELECT min(reg) FROM person WHERE {_registered(question)}")[0]
    if first is None:
        return 0, 0
    intervals = _intervals(question.options)
    return (first if intervals.interval == "24h" else intervals.start(intervals.number(first))), FOREVER


def _build(question: Question) -> str:
    intervals = _intervals(question.options)
    # All activity, the creation of the account too: offset 0 is the whole cohort, as in the table of weeks.
    offset = f"({intervals.offset_sql('a.at', 'a.reg')})::INTEGER"
    offsets = "list_sort(v.offsets)" if question.options.aggregator is None else "v.offsets"  # an order is for people
    return f"""SELECT 0 AS slice, p.uid, {intervals.number_sql("p.reg")} AS cohort,
            coalesce({offsets}, []) AS offsets, 'open' AS status
        FROM person p LEFT JOIN (
            SELECT uid, list(DISTINCT {offset}) FILTER ({offset} >= 0) AS offsets FROM activity a
            WHERE {_registered(question)} GROUP BY uid
        ) v ON v.uid = p.uid WHERE {_registered(question)}"""


def _cells(question: Question) -> Iterator[_Cell]:
    options, as_of = question.options, question.as_of
    intervals = _intervals(options)
    sizes = dict(question.rows("SELECT cohort, count(*) FROM value GROUP BY cohort"))
    counts: dict[int, dict[int, int]] = defaultdict(dict)
    unbounded = options.definition == "unbounded"
    active = "list_max(offsets)" if unbounded else "unnest(offsets)"
    for cohort, offset, users in question.rows(
        f"""SELECT cohort, passed, count(*) FROM (SELECT cohort, {active} AS passed FROM value WHERE len(offsets) > 0)
        GROUP BY ALL"""
    ):
        counts[cohort][offset] = users
    hidden = [gap for gap in gaps(question.conn) if gap[1] > gap[0]]
    # The last member of a cohort of days has 24-hour windows that end up to a day later than the first one's.
    further = 2 if intervals.interval == "24h" else 1
    for cohort in sorted(sizes):
        reached = intervals.number(as_of) - cohort + 1
        width = reached if options.horizon is None else options.horizon
        users = [counts[cohort].get(offset, 0) for offset in range(max(width, *counts[cohort], 0) + 1)]
        if unbounded:
            users = list(accumulate(reversed(users)))[::-1]
        for offset in range(width):
            begin, end = intervals.start(cohort + offset), intervals.start(cohort + offset + further)
            passed = as_of >= end + ALLOWED_LATENESS
            state: CellState = "future" if begin > as_of else "open"
            if state == "open" and any(first < end and last > begin for first, last in hidden):
                state, passed = "partial", False
            elif passed and not unbounded:
                state = "final"
            yield _Cell(intervals.start(cohort), sizes[cohort], offset, users[offset], state, passed)


def _cohorts(question: Question, _header: tuple[str, ...]) -> list[AggregateRow]:
    return [
        (0, (c.cohort, c.size, c.offset, None if c.state == "future" else c.users, c.state), c.size)
        for c in _cells(question)
    ]


def _pooled(question: Question, _header: tuple[str, ...]) -> list[AggregateRow]:
    users: dict[int, int] = defaultdict(int)
    sizes: dict[int, int] = defaultdict(int)
    for cell in _cells(question):
        if cell.passed:
            users[cell.offset] += cell.users
            sizes[cell.offset] += cell.size
    return [(0, (k, sizes[k], users[k], users[k] / sizes[k]), sizes[k]) for k in sorted(sizes)]


METRIC = Metric(
    name="retention",
    summary="for each offset from registration, who was active: in exactly that interval (bounded), or in it or any "
    "later one (unbounded); intervals of the calendar, or 24-hour windows from each registration",
    feeds="registrations (fas.user.create) and everything that counts as activity, account events too: offset 0 is the "
    "whole cohort",
    header=("cohort", "offsets"),
    build=_build,
    aggregators={
        "cohorts": Aggregator(
            "a row for each cohort and offset",
            lambda _header: ("cohort", "size", "offset", "users", "state"),
            _cohorts,
            one_row=False,
        ),
        "pooled": Aggregator(
            "for each offset, the share of all cohorts whose interval is over, weighted by their sizes",
            lambda _header: ("offset", "size", "users", "rate"),
            _pooled,
            one_row=False,
        ),
    },
    parameters=("definition", "interval", "week_start", "horizon", *COMMON),
    defaults=MappingProxyType({"interval": "week"}),
    choices=MappingProxyType({"interval": ("day", "week", "month", "24h")}),
    meanings=MappingProxyType({"interval": "what offsets count; 24h: windows of 24 hours from each registration"}),
    whole_days=lambda options: options.interval != "24h",
    registrations=True,
    reach=_reach,
    series="none",
)
