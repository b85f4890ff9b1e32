"""Discussions: how much of what is opened is answered, on each service."""

from functools import partial

from matplotlib.axes import Axes

from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, SHADES, SOFT, plain, say
from metrics.programmes.discussions import DiscussionRow, Discussions
from metrics.rate import percent

_NAMES = {
    "discourse": "Discourse\ntopics",
    "mailman": "Mailing lists\nthreads",
    "pagure": "Pagure\nissues",
    "bodhi": "Bodhi\nupdates",
}


def picture(found: Discussions) -> Picture:
    """One bar a service."""
    return Picture(
        name="discussions",
        title="Where people are answered",
        note="Share of the threads on each service to which somebody else replied, for which a solution was accepted, "
        "or which were closed. First reply: the median over the threads that got one.",
        command="homecoming discussions",
        as_of=found.as_of,
        width=7.5,
        height=max(0.6, 0.72 * len(found.rows)),
        draw=partial(draw, found),
    )


def draw(found: Discussions, axes: Axes) -> None:
    """0 to 100 %, and beside each bar what it is made of."""
    rows = found.rows
    if not any(row.topics for row in rows):
        say(axes, "Nothing was opened anywhere yet.")
        return
    for y, row in enumerate(rows):
        axes.barh(y, 100, 0.62, color=SHADES[0])
        if not row.topics or row.answered is None:
            axes.text(
                1, y, "too few people to tell" if row.topics is None else "nothing opened", color=SOFT, va="center"
            )
            continue
        share = 100 * row.answered / row.topics
        axes.barh(y, share, 0.62, color=ACCENT)
        inside = share > 12
        axes.text(
            share - 1 if inside else share + 1,
            y,
            percent(row.answered, row.topics),
            color="white" if inside else ACCENT,
            fontweight="bold",
            fontsize=11,
            ha="right" if inside else "left",
            va="center",
        )
        axes.text(102, y, _figures(row), va="center", linespacing=1.4, fontsize=8.5)
    axes.set_yticks(range(len(rows)), [_NAMES.get(row.service, row.service) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20), [f"{n}%" for n in range(0, 101, 20)])
    axes.set_xlabel("threads that were answered")
    plain(axes, "x")


def _figures(row: DiscussionRow) -> str:
    people = "" if row.participants is None else f", {row.participants:,} people"
    replies = "" if row.mean_replies is None else f"{row.mean_replies:.1f} replies each"
    first = "" if row.first_answer_median_s is None else f", first reply after {duration(row.first_answer_median_s)}"
    return f"{row.topics:,} opened{people}\n{replies}{first}"


def duration(seconds: float) -> str:
    """`45 min`, `7.8 h`, `3.2 days`."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
