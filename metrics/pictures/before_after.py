"""Before and after: what newcomers and existing contributors do around events, all events as one."""

from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from metrics.pictures.composition import NOTHING, held
from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, BAR, CLEAR, INK, SOFT, legend, plain, say
from metrics.programmes.events import OFFSETS, Events, Group

_COLOURS: dict[Group, str] = {"newcomers": ACCENT, "existing": BAR}
_NAMES: dict[Group, str] = {"newcomers": "newcomers", "existing": "existing contributors"}

#: Width of a bar, in months.
_WIDTH = 0.4


class Mean(NamedTuple):
    """Messages of a group's people in one month offset, over so many people of those events whose month is final."""

    messages: int
    people: int

    @property
    def each(self) -> float | None:
        """Messages per head; None without people."""
        return self.messages / self.people if self.people else None


def mean(found: Events, group: Group, offset: int) -> Mean:
    """All events as one, those alone whose month at that offset is final."""
    messages = people = 0
    for event in held(found):
        row = event.row(group)
        heads = event.newcomers if group == "newcomers" else event.existing
        if row is None or heads is None:
            continue
        for cell in row.cells:
            if cell.offset == offset and cell.state == "final" and cell.messages is not None:
                messages, people = messages + cell.messages, people + heads
    return Mean(messages, people)


def picture(found: Events) -> Picture:
    """One pair of bars a month."""
    return Picture(
        name="before-after",
        title="Before and after an event",
        note="Messages per attendee and month, those who did nothing included; all events as one, by who came. The "
        "dotted lines are the mean of a side's months. Only months that are final count.",
        command="homecoming events ID",
        as_of=found.as_of,
        width=8.5,
        height=3.4,
        draw=partial(draw, found),
    )


def draw(found: Events, axes: Axes) -> None:
    """Bars by month offset; newcomers to the left."""
    means = {(group, k): mean(found, group, k).each for group in _COLOURS for k in OFFSETS}
    if all(each is None for each in means.values()):
        say(axes, NOTHING)
        return
    for (group, k), each in means.items():
        x = k + (-_WIDTH / 2 if group == "newcomers" else _WIDTH / 2)
        if each is None:
            axes.text(x, 0, "N/A", color=SOFT, ha="center", va="bottom", fontsize=7)
        else:
            axes.bar(x, each, _WIDTH * 0.94, color=_COLOURS[group])
            # Above its bar, and in front of the dotted lines.
            axes.annotate(
                f"{each:.1f}",
                (x, each),
                (0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7.5,
                bbox={**CLEAR, "pad": 0},
                zorder=4,
            )
    for group in _COLOURS:
        for side in (OFFSETS[:4], OFFSETS[4:]):
            known = [each for k in side if (each := means[group, k]) is not None]
            if known:
                level = sum(known) / len(known)
                axes.plot([side[0] - 0.45, side[-1] + 0.45], [level, level], color=INK, linewidth=1.1, linestyle=":")
    axes.axvline(0, color=SOFT, linewidth=1)
    axes.text(0, 1.0, "the event", transform=axes.get_xaxis_transform(), color=SOFT, ha="center", va="bottom")
    axes.set_xticks(OFFSETS, [f"M{k:+d}" for k in OFFSETS])
    axes.set_xlim(-4.6, 4.6)
    axes.set_xlabel("months before and after")
    axes.set_ylabel("messages per head")
    plain(axes, "y")
    legend(axes, [Patch(color=_COLOURS[group], label=_NAMES[group]) for group in _COLOURS], 38)
