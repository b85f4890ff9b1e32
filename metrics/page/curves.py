"""Retention curves: each cohort as a line, and all of them as one."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

from metrics.page.plot import Scale, Tick, path, scale, spread
from metrics.page.triangle import label
from metrics.page.view import View
from metrics.privacy import hide
from metrics.rate import pooled
from state.reading import Cohort, Retention
from state.weeks import week_name

#: Shades of a cohort's line; the darkest is the newest.
AGES = 5

#: Labels of the time axis, at most.
_TICKS = 4

#: Per cent of the height that labels keep between each other.
_APART = 8


class Line(NamedTuple):
    """A cohort's line; age: 1 for the oldest to AGES for the newest."""

    path: str
    title: str
    age: int


class Mean(NamedTuple):
    """All cohorts of a population as one; end: where its last point is labelled, in per cent from the top."""

    place: int
    name: str
    path: str
    rate: str
    end: float
    said: str


class Curves(NamedTuple):
    """The section; width: of the drawing's box, whose height is 100."""

    width: int
    lines: tuple[Line, ...]
    means: tuple[Mean, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def curves(view: View, retentions: Sequence[Retention], min_cohort: int) -> Curves | None:
    """The section for the public; None before the first final week of return.

    W0 is left out, being everybody: the lines begin with the week after. Only final weeks are drawn.
    """
    shown = [hide(retention, min_cohort) for retention in retentions]
    lasts = [
        cell.offset
        for retention in shown
        for cohort in retention.cohorts
        for cell in cohort.cells[1 : view.weeks]
        if cell.state == "final"
    ]
    if not lasts:
        return None
    last = max(2, *lasts)
    up = _scale(shown, last)
    return Curves(
        width=last - 1,
        lines=() if view.beside else tuple(_lines(shown[0].cohorts, last, up)),
        means=tuple(_means(shown, last, up)),
        across=tuple(_across(last)),
        up=tuple(Tick(up.y(value), f"{value:.0%}") for value in up.ticks()[1:]),
    )


def _rates(cohort: Cohort, last: int) -> list[float | None]:
    """Of the offsets 1 to last; None where the week is not final."""
    return [(cell.users or 0) / cohort.size if cell.state == "final" else None for cell in cohort.cells[1 : last + 1]]


def _scale(retentions: Sequence[Retention], last: int) -> Scale:
    rates = [rate for found in retentions for cohort in found.cohorts for rate in _rates(cohort, last)]
    return scale(max(rate for rate in rates if rate is not None), smallest_step=0.01)


def _drawn(rates: Sequence[float | None], up: Scale) -> str:
    return path(None if rate is None else (place, up.y(rate)) for place, rate in enumerate(rates))


def _lines(cohorts: Sequence[Cohort], last: int, up: Scale) -> Iterator[Line]:
    for place, cohort in enumerate(cohorts, start=1):
        rates = _rates(cohort, last)
        if any(rate is not None for rate in rates):
            yield Line(_drawn(rates, up), week_name(cohort.week), ceil(AGES * place / len(cohorts)))


def _means(retentions: Sequence[Retention], last: int, up: Scale) -> list[Mean]:
    means = []
    for place, retention in enumerate(retentions, start=1):
        figures = [pooled(retention, offset) for offset in range(1, last + 1)]
        known = [(offset, figure) for offset, figure in enumerate(figures, start=1) if figure is not None]
        if known:
            drawn = _drawn([None if figure is None else figure.share for figure in figures], up)
            said = ", ".join(f"W{offset} {figure.rate}" for offset, figure in known)
            latest = known[-1][1]
            means.append(Mean(place, label(retention.population), drawn, latest.rate, up.y(latest.share), said))
    downward = sorted(means, key=lambda mean: mean.end)
    ends = dict(zip((mean.place for mean in downward), spread([mean.end for mean in downward], _APART), strict=True))
    return [mean._replace(end=ends[mean.place]) for mean in means]


def _across(last: int) -> Iterator[Tick]:
    step = next(n for n in (1, 2, 4, 8, 13, 26) if last / n <= _TICKS)
    offsets = [1, *(n for n in range(step, last + 1, step) if n > 1)]
    for offset in offsets:
        yield Tick(round(100 * (offset - 1) / (last - 1), 2), f"W{offset}")
