"""Campaigns: who still contributes months after the end, by campaign or by service."""

from functools import partial

from matplotlib.axes import Axes

from metrics.pictures.heat import HEIGHT, HeatCell, heat, row_label
from metrics.pictures.picture import Picture
from metrics.pictures.theme import say
from metrics.programmes.campaigns import CampaignCell, Campaigns
from metrics.rate import percent, shade

#: Of a cell, inches.
_WIDTH = 1.35

_TITLES = {"campaign": "Who stayed after a campaign", "service": "Where people stayed after campaigns"}


def picture(found: Campaigns) -> Picture:
    """One row a campaign (or service, year, country)."""
    said = (
        "Share of all participants who contributed to each service"
        if found.by == "service"
        else "Share of the participants who still contributed"
    )
    return Picture(
        name=f"campaigns-by-{found.by}",
        title=_TITLES.get(found.by, f"Who stayed after campaigns, by {found.by}"),
        note=f"{said} in the calendar month 3, 6, 9 and 12 months after the campaign's end: "
        "of those campaigns alone whose month has begun.",
        command=f"homecoming campaigns --by {found.by}",
        as_of=found.as_of,
        width=_WIDTH * max(2, len(_months(found))),
        height=max(0.6, HEIGHT * 1.15 * len(found.rows)),
        draw=partial(draw, found),
    )


def draw(found: Campaigns, axes: Axes) -> None:
    """One column a month after the end."""
    if not found.rows:
        say(axes, "No campaign is defined (see [[campaign]] in the definitions), or nobody stayed.")
        return
    rows = [[_cell(cell) for cell in row.cells] for row in found.rows]
    columns = [f"{months} months" for months in _months(found)]
    names = [
        row.name if found.by == "service" or row.participants is None else row_label(row.name, row.participants)
        for row in found.rows
    ]
    below = "after the end" if found.by == "service" else "after the end; on the left how many took part"
    heat(axes, names, columns, rows, below)


def _months(found: Campaigns) -> list[int]:
    return [cell.months for cell in found.rows[0].cells] if found.rows else []


def _cell(cell: CampaignCell) -> HeatCell:
    if cell.users is None or cell.of is None:
        return HeatCell("N/A" if cell.state == "future" else "too few", "", None, cell.state)
    return HeatCell(percent(cell.users, cell.of), f"{cell.users:,}/{cell.of:,}", shade(cell.users, cell.of), cell.state)
