"""Retention curves: each cohort as a thin line, all of them as one as a thick one."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from metrics.page.view import MEANINGS
from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, INK, legend, plain, say
from metrics.rate import pooled
from state.reading import Cohort, Retention
from state.weeks import week_name

#: How visible the oldest and the newest cohort's line is.
_OLDEST, _NEWEST = 0.12, 0.75

#: Labels of the time axis, at most.
_TICKS = 13


def picture(found: Retention) -> Picture:
    """The curves of one population."""
    return Picture(
        name="curves",
        title="How fast people leave, and how many stay",
        note=f"Share of each week's sign-ups ({MEANINGS[found.population]}) who were active so many weeks later. "
        "The thick line is the pooled mean: everybody who returned, of everybody who could have. Only weeks that are "
        "final are drawn; sign-up itself (W0) is left out, being everybody.",
        command=f"homecoming retention --population {found.population}",
        as_of=found.as_of,
        width=8.5,
        height=3.8,
        draw=partial(draw, found),
    )


def draw(found: Retention, axes: Axes) -> None:
    """Rates from W1 on, broken where a week is not final."""
    means = {
        offset: figure
        for offset in range(1, max((len(cohort.cells) for cohort in found.cohorts), default=0))
        if (figure := pooled(found, offset)) is not None
    }
    if not means:
        say(axes, "No week of return is over yet.")
        return
    for place, cohort in enumerate(found.cohorts):
        age = place / max(1, len(found.cohorts) - 1)
        offsets, rates = _rates(cohort)
        axes.plot(
            offsets,
            rates,
            color=ACCENT,
            alpha=_OLDEST + age * (_NEWEST - _OLDEST),
            linewidth=0.9,
            label=week_name(cohort.week),
        )
    axes.plot(list(means), [figure.share for figure in means.values()], color=INK, linewidth=2.8, label="pooled mean")
    last, latest = max(means), means[max(means)]
    axes.annotate(latest.rate, (last, latest.share), (6, 0), textcoords="offset points", va="center", fontweight="bold")
    axes.set_ylim(bottom=0)
    axes.set_xlim(1, max(2, last))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    step = next(n for n in (1, 2, 4, 8, 13, 26, last) if last / n <= _TICKS)
    ticks = [1, *(n for n in range(step, last + 1, step) if n > 1)]
    axes.set_xticks(ticks, [f"W{n}" for n in ticks])
    axes.set_xlabel("weeks since the week of sign-up")
    axes.set_ylabel("active, of those who signed up")
    plain(axes, "y")
    handles = [
        Line2D([], [], color=INK, linewidth=2.8, label="all cohorts as one"),
        Line2D([], [], color=ACCENT, linewidth=1, alpha=_NEWEST, label="a cohort; the darker, the newer"),
    ]
    legend(axes, handles, 38)


def _rates(cohort: Cohort) -> tuple[list[int], list[float]]:
    later = cohort.cells[1:]
    return (
        [cell.offset for cell in later],
        [(cell.users or 0) / cohort.size if cell.state == "final" and cohort.size else float("nan") for cell in later],
    )
