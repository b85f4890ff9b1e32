"""What the public may see of an answer: nothing about fewer than k people, and no two answers that differ by as few.

An answer is refused where its cohort has fewer than k users; where fewer than k stand between the cohort and a part of
its expression, which could be asked for as well; and where its only row is about fewer than k. Of several rows those
are withheld that are about 1 to k-1 people, with another one where it could be worked out as what is missing from the
sum.
"""

from dataclasses import replace
from typing import NamedTuple

from metrics.asking.apart import PUBLIC_TERMS, parts_of
from metrics.asking.work import Worked
from metrics.programmes.suppression import hidden
from metrics.standard.answer import Row
from metrics.standard.registry import METRICS


class TooFewError(Exception):
    """Too few people stand behind what was asked: the public does not get it. One line for people."""


class Public(NamedTuple):
    """An answer without the withheld rows (groups) or without their values (slices)."""

    worked: Worked
    withheld: int


def public(worked: Worked, k: int) -> Public:
    """What may be shown. Raises TooFewError where that is nothing."""
    _check_cohort(worked, k)
    found, options = worked.answer, worked.answer.options
    if not (options.namespace or options.project or any(0 < size < k for size in found.sizes)):
        return Public(worked, 0)
    about = {place: _fewest(worked, row, size) for place, (row, size) in enumerate(zip(*_rows(worked), strict=True))}
    # A cohort within a table of cohorts is hidden by itself, as it is in the retention table.
    lines = [] if found.metric == "retention" else [list(about)]
    gone = hidden(about, lines, k)
    if not gone:
        return Public(worked, 0)
    if len(found.rows) == 1:
        raise TooFewError(f"hidden: fewer than {k} people stand behind this: choose a larger cohort or window")
    blank = (None,) * (len(found.header) - 1)
    if found.type == "time_series" and METRICS[found.metric].aggregators[str(options.aggregator)].one_row:
        rows = tuple((row[0], *blank) if place in gone else row for place, row in enumerate(found.rows))
        return Public(replace(worked, answer=replace(found, rows=rows)), len(gone))
    rows = tuple(row for place, row in enumerate(found.rows) if place not in gone)
    sizes = tuple(size for place, size in enumerate(found.sizes) if place not in gone)
    return Public(replace(worked, answer=replace(found, rows=rows, sizes=sizes)), len(gone))


def _check_cohort(worked: Worked, k: int) -> None:
    if worked.users < k:
        raise TooFewError(f"hidden: the cohort has fewer than {k} users, about whom only the operator is told")
    if len(parts_of(worked.request.cohort)) > PUBLIC_TERMS:
        raise TooFewError(f"hidden: the public may ask of at most {PUBLIC_TERMS} terms and intersections at a time")
    if worked.apart is not None and worked.apart < k:
        raise TooFewError(
            f"hidden: fewer than {k} users are in this cohort and not in a part of it, or the other way round: "
            "comparing the two would tell about them"
        )


def _rows(worked: Worked) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    return worked.answer.rows, worked.answer.sizes


def _fewest(worked: Worked, row: Row, size: int) -> int:
    """The smallest number of people, 0 aside, that the row tells about.

    Of a breakdown by service or project this is also who reached it, or who did not.
    """
    options, header = worked.answer.options, worked.answer.header
    people = [size]
    if options.namespace or options.project:
        named = dict(zip(header, row, strict=True))
        whole = named.get("total_users", named.get("size"))
        part = row[-2] if header[-1] == "rate" else named.get("users")
        if isinstance(part, int) and part:
            people += [part] if whole is None else [part, whole - part]
    return min((count for count in people if count), default=0)
