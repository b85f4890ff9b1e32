"""Activity around events: a heat map of events by months before and after."""

from functools import partial
from math import ceil

from matplotlib.axes import Axes

from metrics.pictures.composition import NOTHING, held, titled
from metrics.pictures.heat import HEIGHT, HeatCell, heat
from metrics.pictures.picture import Picture
from metrics.pictures.theme import say
from metrics.programmes.events import OFFSETS, Event, Events, MonthCell
from metrics.rate import DARKEST

#: Of a cell, inches.
_WIDTH = 0.8


def picture(found: Events) -> Picture:
    """One row an event."""
    return Picture(
        name="months",
        title="What attendees did around each event",
        note="Messages per attendee in each month before (M-) and after (M+) the event, those who did nothing "
        "included; below it, how many were active. A month is 30 days; that around the event is left out.",
        command="homecoming events ID",
        as_of=found.as_of,
        width=_WIDTH * len(OFFSETS),
        height=max(0.6, HEIGHT * 1.15 * len(held(found))),
        draw=partial(draw, found),
    )


def draw(found: Events, axes: Axes) -> None:
    """Cells shaded by messages per attendee, from none to the most of all."""
    shown = held(found)
    if not shown:
        say(axes, NOTHING)
        return
    cells = [_cells(event) for event in shown]
    most = max((cell.mean or 0 for row in cells for cell in row), default=0)
    rows = [[_cell(cell, most) for cell in row] for row in cells]
    heat(axes, [titled(event) for event in shown], [f"M{k:+d}" for k in OFFSETS], rows, "months before and after")
    axes.axvline(len(OFFSETS) / 2, color="white", linewidth=7)


def _cells(event: Event) -> tuple[MonthCell, ...]:
    row = event.row("all")
    return tuple(MonthCell(k, None, None, None, "future") for k in OFFSETS) if row is None else row.cells


def _cell(cell: MonthCell, most: float) -> HeatCell:
    if cell.mean is None:
        return HeatCell("N/A" if cell.state == "future" else "too few", "", None, cell.state)
    people = "" if cell.users is None else f"{cell.users:,} active"
    return HeatCell(f"{cell.mean:.1f}", people, ceil(DARKEST * cell.mean / most) if most else 0, cell.state)
